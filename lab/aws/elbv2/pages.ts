/** Pages of lists: `PageSize` of 1 to 400, and a `Marker` that says nothing to the caller. */
import { invalid } from '../answer.js';
import { textOf, type Branch } from '../tree.js';
import { within } from './actions.js';

const PAGE_SIZES = { from: 1, to: 400 };

/** @param most of the settings; the smaller counts */
export function page(list: string, all: Branch[], parameters: Branch, most: number | null): Branch {
  const asked = textOf(parameters['PageSize']);
  if (asked !== undefined && !within(asked, PAGE_SIZES)) throw invalid('The page size must be between 1 and 400');
  const size = Math.min(Number(asked ?? PAGE_SIZES.to), most ?? PAGE_SIZES.to);
  const from = placeOf(list, textOf(parameters['Marker']));
  const next = from + size;
  return {
    [list]: all.slice(from, next),
    ...(next < all.length ? { NextMarker: markerOf(list, next) } : {}),
  };
}

const markerOf = (list: string, place: number): string => Buffer.from(`${list} ${place}`).toString('base64url');

function placeOf(list: string, marker: string | undefined): number {
  if (marker === undefined) return 0;
  const [of, place] = Buffer.from(marker, 'base64url').toString().split(' ');
  if (of !== list || place === undefined) throw invalid('The marker is not valid');
  return Number(place);
}
