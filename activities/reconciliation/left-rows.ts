/**
 * How a side's stream left the rows of one table, by key. A stream names hundreds of thousands of them, so that nothing is allocated for a
 * row: with an object and two strings each, collecting garbage took a third of the time.
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
  readonly #places = new Places();
  #numbers = new Int32Array(WIDTH * 1_024);

  get size(): number {
    return this.#places.keys.length;
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
    const at = this.#places.have(key) * WIDTH;
    if (at + WIDTH > this.#numbers.length) {
      const more = new Int32Array(this.#numbers.length * 2);
      more.set(this.#numbers);
      this.#numbers = more;
    }
    this.#numbers[at] = what;
    this.#numbers[at + 1] = high;
    this.#numbers[at + 2] = low;
  }

  /** Keys of either, but for those that both left the same; and how many those are. */
  unlike(other: LeftRows, believed: boolean): { keys: KeyName[]; alike: number } {
    const keys: KeyName[] = [];
    let alike = 0;
    const [mine, theirs] = [this.#numbers, other.#numbers];
    this.#places.keys.forEach((key, place) => {
      const here = place * WIDTH;
      const there = other.#places.of(key) * WIDTH;
      const same =
        believed &&
        there >= 0 &&
        mine[here] !== UNTOLD &&
        mine[here] === theirs[there] &&
        mine[here + 1] === theirs[there + 1] &&
        mine[here + 2] === theirs[there + 2];
      if (same) alike += 1;
      else keys.push(key);
    });
    for (const key of other.#places.keys) if (this.#places.of(key) < 0) keys.push(key);
    return { keys, alike };
  }
}

const NOWHERE = -1;
/** Odd, and its bits without a pattern: numbers in a row land far from each other. Knuth, The Art of Computer Programming, 6.4 */
const SPREAD = 0x9e3779b1;
const UPPER_HALF = 2 ** 32;

/** Keys in the order in which they came. Numbers are found by open addressing, in a table that is never more than half full and grows fourfold. */
class Places {
  readonly keys: KeyName[] = [];
  readonly #texts = new Map<string, number>();
  #bits = 11;
  #table = new Int32Array(2 ** this.#bits).fill(NOWHERE);

  /** Where a key is; negative: nowhere. */
  of(key: KeyName): number {
    if (typeof key === 'string') return this.#texts.get(key) ?? NOWHERE;
    return this.#table[this.#slotOf(key)] ?? NOWHERE;
  }

  /** Where a key is from now on. */
  have(key: KeyName): number {
    return typeof key === 'string' ? this.#haveText(key) : this.#haveNumber(key);
  }

  #haveText(key: string): number {
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const place = this.keys.push(key) - 1;
    this.#texts.set(key, place);
    return place;
  }

  #haveNumber(key: number): number {
    const slot = this.#slotOf(key);
    const known = this.#table[slot] ?? NOWHERE;
    if (known !== NOWHERE) return known;
    const place = this.keys.push(key) - 1;
    this.#table[slot] = place;
    if (place * 2 >= this.#table.length) this.#grow();
    return place;
  }

  /** The slot that holds the key, or the empty one where it belongs. */
  #slotOf(key: number): number {
    const last = this.#table.length - 1;
    let slot = Math.imul(key ^ (key / UPPER_HALF), SPREAD) >>> (32 - this.#bits);
    for (;;) {
      const place = this.#table[slot];
      if (place === undefined || place === NOWHERE || this.keys[place] === key) return slot;
      slot = (slot + 1) & last;
    }
  }

  #grow(): void {
    this.#bits += 2;
    this.#table = new Int32Array(2 ** this.#bits).fill(NOWHERE);
    this.keys.forEach((key, place) => {
      if (typeof key === 'number') this.#table[this.#slotOf(key)] = place;
    });
  }
}
