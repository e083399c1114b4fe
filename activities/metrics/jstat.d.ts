/** What is used of jstat, which brings no types. */
declare module 'jstat' {
  const jstat: {
    normal: {
      /** The quantile of the normal distribution. */
      inv(share: number, mean: number, deviation: number): number;
    };
    /** Quantile of the beta distribution. */
    beta: { inv(p: number, alpha: number, beta: number): number };
    /** The regularised incomplete beta function. */
    ibeta(x: number, a: number, b: number): number;
  };
  export default jstat;
}
