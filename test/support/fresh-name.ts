/** Names that no earlier attempt has used: vitest runs a test that failed once more, on servers that have its databases. */
const asked = new Map<string, number>();

/** `name` itself at first, so that messages and logs read well; `name_2`, `name_3`, … when this file asks for it again. */
export function fresh(name: string): string {
  const times = (asked.get(name) ?? 0) + 1;
  asked.set(name, times);
  return times === 1 ? name : `${name}_${times}`;
}
