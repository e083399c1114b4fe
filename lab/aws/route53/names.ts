/** Domain names as Route 53 writes and sorts them: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html */

/** Lower case, a dot at the end, an asterisk as its octal code. */
export function canonical(name: string): string {
  const dotted = name.endsWith('.') ? name : `${name}.`;
  return dotted.toLowerCase().replaceAll('*', '\\052');
}

export function isWithin(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

/** By labels from the right: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html */
export function compareNames(one: string, other: string): number {
  const [labels, others] = [one, other].map((name) => name.split('.').reverse());
  for (const [index, label] of (labels ?? []).entries()) {
    const against = others?.[index];
    if (against === undefined) return 1;
    if (label !== against) return label < against ? -1 : 1;
  }
  return (labels?.length ?? 0) - (others?.length ?? 0);
}
