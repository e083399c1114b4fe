/**
 * How a side's stream left the rows of one table, by key. A stream names hundreds of thousands of them, so that nothing is allocated for a
 * row but its place in a map: with an object and two strings each, collecting garbage took a third of the time.
 */

/** A key as maps have it: of one column its text, or a number that is written the same; of more their texts as JSON. */
export type KeyName = string | number;

export const nameOfKey = (key: string[]): KeyName => (key.length === 1 ? (key[0] ?? '') : JSON.stringify(key));

export const keyOfName = (name: KeyName, columns: number): string[] =>
  columns === 1 ? [`${name}`] : (JSON.parse(`${name}`) as string[]);

/** Only a look at the row tells; the hash of all its columns tells; there is none. */
const UNTOLD = 0;
const HASHED = 1;
const GONE = 2;

/** Numbers of a row: what of the above, and two halves of its hash. */
const WIDTH = 3;

export class LeftRows {
  readonly #places = new Map<KeyName, number>();
  #numbers = new Int32Array(WIDTH * 1_024);

  get size(): number {
    return this.#places.size;
  }

  hashed(key: KeyName, high: number, low: number): void {
    this.#left(key, HASHED, high, low);
  }

  untold(key: KeyName): void {
    this.#left(key, UNTOLD, 0, 0);
  }

  gone(key: KeyName): void {
    this.#left(key, GONE, 0, 0);
  }

  #left(key: KeyName, what: number, high: number, low: number): void {
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#places.size * WIDTH;
      this.#places.set(key, place);
      if (place + WIDTH > this.#numbers.length) {
        const more = new Int32Array(this.#numbers.length * 2);
        more.set(this.#numbers);
        this.#numbers = more;
      }
    }
    this.#numbers[place] = what;
    this.#numbers[place + 1] = high;
    this.#numbers[place + 2] = low;
  }

  /** Keys of either, but for those that both left the same; and how many those are. */
  unlike(other: LeftRows, believed: boolean): { keys: KeyName[]; alike: number } {
    const keys: KeyName[] = [];
    let alike = 0;
    const [mine, theirs] = [this.#numbers, other.#numbers];
    for (const [key, here] of this.#places) {
      const there = other.#places.get(key);
      const same =
        believed &&
        there !== undefined &&
        mine[here] !== UNTOLD &&
        mine[here] === theirs[there] &&
        mine[here + 1] === theirs[there + 1] &&
        mine[here + 2] === theirs[there + 2];
      if (same) alike += 1;
      else keys.push(key);
    }
    for (const key of other.#places.keys()) if (!this.#places.has(key)) keys.push(key);
    return { keys, alike };
  }
}
