/**
 * How far a piece of a table without an integer key is, in the row of the piece: such a table is one piece, however large, and a worker
 * may die hours into it. Up to 65,536 sums a side: 2.5 MB deflated, and so not after each part.
 */
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import type { Milliseconds } from '../../spec/normal.js';
import type { TableName } from '../postgres/statements.js';
import type { PassKeeper, PassProgress, SidePass } from '../postgres/validation/buckets.js';
import type { Keeper } from './state.js';

const packed = promisify(deflate);
const unpacked = promisify(inflate);

export const KEEP_PROGRESS_EVERY_MS = 15_000;
/** Of the form in which it is kept; another one is read by nobody. */
const VERSION = 1;

interface StoredPass extends Omit<SidePass, 'buckets'> {
  buckets: [bucket: string, count: number, sum: string][];
}

interface StoredProgress {
  version: number;
  hash: string;
  sides: { source: StoredPass; target: StoredPass };
}

export function progressKept(
  keeper: Keeper,
  { run, schema, name, piece }: TableName & { run: string; piece: number },
  every: Milliseconds,
): PassKeeper {
  const which = [run, schema, name, piece];
  return {
    every,
    read: async () => {
      const row = await keeper.run((session) =>
        session.row<{ progress: Buffer | null }>(
          `select progress from godwit.reconciliation_piece
           where run = $1 and schema_name = $2 and table_name = $3 and piece = $4`,
          which,
        ),
      );
      return row?.progress == null ? null : read((await unpacked(row.progress)).toString());
    },
    write: async (progress) => {
      const bytes = await packed(written(progress));
      await keeper.run((session) =>
        session.run(
          `update godwit.reconciliation_piece set progress = $5
           where run = $1 and schema_name = $2 and table_name = $3 and piece = $4 and figures is null`,
          [...which, bytes],
        ),
      );
    },
  };
}

function written({ hash, sides }: PassProgress): string {
  const side = (pass: SidePass): StoredPass => ({
    ...pass,
    buckets: [...pass.buckets].map(([bucket, { count, sum }]) => [bucket, count, sum]),
  });
  const stored: StoredProgress = {
    version: VERSION,
    hash,
    sides: { source: side(sides.source), target: side(sides.target) },
  };
  return JSON.stringify(stored);
}

function read(text: string): PassProgress | null {
  const { version, hash, sides } = JSON.parse(text) as StoredProgress;
  if (version !== VERSION) return null;
  const side = (pass: StoredPass): SidePass => ({
    ...pass,
    buckets: new Map(pass.buckets.map(([bucket, count, sum]) => [bucket, { count, sum }])),
  });
  return { hash, sides: { source: side(sides.source), target: side(sides.target) } };
}
