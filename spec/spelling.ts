/** "Did you mean …?" */
import { closest, distance } from 'fastest-levenshtein';

/** The known word that `word` was probably meant to be; null: none is near enough to be worth naming. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (known.length === 0) return null;
  const guess = closest(
    word.toLowerCase(),
    known.map((name) => name.toLowerCase()),
  );
  // A third of the letters: `rateLimt` and `hodl` are typos; more than that is another word.
  const near = distance(word.toLowerCase(), guess) <= Math.ceil(guess.length / 3);
  return near ? (known.find((name) => name.toLowerCase() === guess) ?? null) : null;
}

/** ` Did you mean X?`, or what is known. Begins with a separator, to be put behind a sentence. */
export function didYouMean(word: string, known: readonly string[]): string {
  const guess = nearest(word, known);
  if (guess !== null) return `; did you mean ${guess}?`;
  return known.length === 0 ? '' : `; expected ${oneOf(known)}`;
}

/** `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}
