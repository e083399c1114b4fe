/** What is used of jstat, which comes without types. */
declare module 'jstat' {
  const jstat: {
    jStat: {
      /** Quantile of the beta distribution. */
      beta: { inv(p: number, alpha: number, beta: number): number };
    };
  };
  export default jstat;
}
