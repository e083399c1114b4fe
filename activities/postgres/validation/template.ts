/** Fills `:names` in a statement. Once over the text, so that a column called `a:hash` is left alone; `::casts` stay. */
export function fill(sql: string, values: Record<string, string>): string {
  return sql.replace(/(?<!:):([a-z]+)\b/g, (found, name: string) => values[name] ?? found);
}
