/** What reading a piece of text gives: its value, or a sentence that says what was expected and how to repair it. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; error: string };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function unreadable(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
