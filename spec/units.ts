/**
 * Units: what a migration moves. Written `TYPE/NAME` everywhere a person meets one.
 * `services` join them here when their stages exist.
 */

export const UNIT_TYPES = ['database', 'traffic'] as const;
export type UnitType = (typeof UNIT_TYPES)[number];

/** A unit as written in files and on the command line, for instance `database/orders`. */
export type UnitRef = `${UnitType}/${string}`;

/** The stages every unit goes through, in this order. Only `finalize` has no way back. */
export const STAGES = ['prepare', 'switch', 'watch', 'finalize'] as const;
export type Stage = (typeof STAGES)[number];

/** Null when `text` is not a unit. */
export function parseUnitRef(text: string): { type: UnitType; name: string } | null {
  const match = /^([a-z]+)\/([a-z0-9]([a-z0-9-]*[a-z0-9])?)$/.exec(text);
  if (!match) return null;
  const type = UNIT_TYPES.find((known) => known === match[1]);
  return type && match[2] !== undefined ? { type, name: match[2] } : null;
}

export function unitRef(type: UnitType, name: string): UnitRef {
  return `${type}/${name}`;
}

/** Those of `texts` that are units. */
export function unitRefs(texts: readonly string[]): UnitRef[] {
  return texts.flatMap((text) => {
    const unit = parseUnitRef(text);
    return unit === null ? [] : [unitRef(unit.type, unit.name)];
  });
}
