/**
 * What a person writes to have two databases compared: `kind: Reconciliation`, v1alpha1. As with the migration's, this one
 * schema gives the parser with its defaults, the JSON Schema for editors and docs/reconciliation-specification.md
 * (`npm run schema`); `normalize-reconciliation.ts` makes the normal form of its output.
 */
import { z } from 'zod';
import { businessRules } from './business-rules.js';
import {
  chosenTables,
  cron,
  duration,
  durationOrNone,
  label,
  numberOrNone,
  percent,
  queueName,
  rateOrNone,
  size,
  sql,
  tablePattern,
  timeZone,
} from './fields.js';
import { LEVELS, REPAIRABLE_KINDS, SEVERITIES, SIDES, type FindingKind } from './reconciliation.js';
import { API_VERSION } from './schema.js';
import { SecretReferenceSchema } from './secret-reference.js';

export const RECONCILIATION_KIND = 'Reconciliation';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const MiB = 2 ** 20;
const TiB = 2 ** 40;

const Side = (what: string) =>
  z
    .strictObject({
      url: SecretReferenceSchema.describe(
        `Where to find the URL of the ${what}: postgres://user:password@host:port/database.`,
      ),
      replica: SecretReferenceSchema.optional().describe(
        'Where to find the URL of a physical standby of it. Rows are read there in bulk, once it has replayed what is compared; what differs is settled, and repaired, at url.',
      ),
    })
    .describe(`The ${what}.`);

const Replication = z
  .strictObject({
    scope: z
      .string()
      .min(1)
      .optional()
      .describe('Key of the scope of a migration by Godwit that holds these tables, as its `godwit.scope` has it.'),
    subscription: z
      .string()
      .min(1)
      .optional()
      .describe('A subscription of your own, on the side that follows: its slot tells what has arrived.'),
    grace: duration(SECOND, DAY)
      .optional()
      .describe(
        'For replication that Postgres knows nothing of: a difference counts once it has stayed for so long. Longer than the longest lag.',
      ),
    none: z.literal(true).optional().describe('Nothing flows between the two: a difference counts at once.'),
  })
  .prefault({})
  .describe(
    'How it is known that the other side has all that the primary had committed; at most one of these. Default: found out, by a scope of Godwit, else a subscription, else streaming replication.',
  );

const Tables = z
  .strictObject({
    ...chosenTables('compare'),
    rowFilters: z
      .record(tablePattern(), z.string().trim().min(1).max(4_096))
      .prefault({})
      .describe(
        'Rows to compare, as table pattern: condition in SQL, such as shop.orders: tenant_id in (7, 8); all rows of the others.',
      ),
  })
  .prefault({})
  .describe('Which tables are compared.');

const Columns = z
  .record(
    tablePattern(),
    z.strictObject({
      exclude: z
        .array(z.string().min(1))
        .prefault([])
        .describe('Columns that are left out: neither compared nor repaired.'),
      mask: z
        .array(z.string().min(1))
        .prefault([])
        .describe('Columns that are compared by hash, and never shown: neither in a review nor in a dry run.'),
    }),
  )
  .prefault({})
  .describe('What is done with single columns, by table pattern.');

const Sample = z
  .strictObject({
    share: percent(0.000_001, 0.999_999).describe(
      'Share of the rows that is compared, the same ones on both sides, such as 5%.',
    ),
    method: z
      .enum(['systematic', 'random'])
      .prefault('systematic')
      .describe(
        'systematic: every k-th run of keys, which reads only its pages. random: each row by the hash of its key, which reads all keys.',
      ),
    seed: z.int().min(0).max(2_147_483_647).prefault(1).describe('The same seed chooses the same rows.'),
    tables: z
      .array(tablePattern())
      .min(1)
      .prefault(['*.*'])
      .describe('Tables of which only a sample is compared, as patterns; of the others all rows are.'),
  })
  .describe('Compares a sample of the rows, and says how sure that makes. Default: all rows.');

const Incremental = z
  .strictObject({
    by: z
      .enum(['changes', 'xmin', 'column'])
      .prefault('changes')
      .describe(
        "What tells which rows may have changed. changes: a logical slot on each side, which sees everything. xmin: the row's transaction. column: the time of the last change. The last two don't see deletions; a full run does.",
      ),
    column: z
      .string()
      .min(1)
      .optional()
      .describe('Of by: column, its name, such as updated_at; indexed. Tables without it are compared whole.'),
    fullEvery: duration(MINUTE).prefault('24h').describe('After this long a run compares all rows again.'),
    maxRetainedWal: size(MiB, 100 * TiB)
      .prefault('8GiB')
      .describe('WAL that a slot of by: changes may hold back before it is given up; the next run is then a full one.'),
  })
  .describe('Later runs read only what may have changed since the last one. Default: each run reads all.');

const TemporalCheck = z
  .strictObject({
    tables: tablePattern().describe('Tables that it is about, as a pattern; those without its columns are left out.'),
    order: z
      .strictObject({
        earlier: z.string().min(1).describe('Column that must not be later, such as created_at.'),
        later: z.string().min(1).describe('Column that must not be earlier, such as updated_at.'),
      })
      .optional()
      .describe('Two times of a row, in their order.'),
    notInFuture: z
      .strictObject({
        column: z.string().min(1).describe('Column with the time.'),
        tolerance: duration().prefault('1m').describe('How far clocks may differ.'),
      })
      .optional()
      .describe('A time that has come.'),
    noGaps: z
      .strictObject({
        column: z.string().min(1).describe('Column with the number, each one more than the one before.'),
        per: z
          .array(z.string().min(1))
          .prefault([])
          .describe('Columns within whose values it counts, such as order_id. Default: over the whole table.'),
      })
      .optional()
      .describe('A sequence of events, of which none is missing.'),
  })
  .meta({ minProperties: 2, maxProperties: 2 })
  .describe('A rule about times: order, notInFuture or noGaps.');

const Checks = z
  .strictObject({
    temporal: z.array(TemporalCheck).prefault([]).describe('Rules about times, looked at by the level deep.'),
    duplicates: z
      .array(
        z.strictObject({
          tables: tablePattern().describe('Tables that it is about, as a pattern.'),
          columns: z.array(z.string().min(1)).min(1).describe('Columns whose values together must be unique.'),
        }),
      )
      .prefault([])
      .describe('What should be unique, and has no unique index; looked at by the level deep.'),
    business: businessRules('as severity.kinds has it for business').describe(
      'Rules of your own in SQL, looked at by the level business.',
    ),
  })
  .prefault({})
  .describe('What must hold beside equality.');

/** What each kind is, in a few words. */
const KIND_MEANINGS: Record<FindingKind, string> = {
  missing: 'rows that the primary has, and the other side lacks',
  extra: 'rows that only the other side has',
  changed: 'rows with other values',
  count: 'rows that occur more or less often, or a count that is off',
  duplicate: 'rows that should be unique',
  dangling: 'references to nothing',
  temporal: 'times in the future or out of order, gaps in a sequence',
  drift: 'a schema that differs',
  business: 'broken rules of your own',
};

const severityOf = (kind: FindingKind) => z.enum(SEVERITIES).optional().describe(`Of ${kind}: ${KIND_MEANINGS[kind]}.`);

const Severity = z
  .strictObject({
    kinds: z
      .strictObject({
        missing: severityOf('missing'),
        extra: severityOf('extra'),
        changed: severityOf('changed'),
        count: severityOf('count'),
        duplicate: severityOf('duplicate'),
        dangling: severityOf('dangling'),
        temporal: severityOf('temporal'),
        drift: severityOf('drift'),
        business: severityOf('business'),
      })
      .prefault({})
      .describe('How bad a finding of each kind is.'),
    highAbove: z
      .int()
      .min(0)
      .max(1_000_000_000)
      .prefault(100)
      .describe('More findings of one kind in one table than this are at least high.'),
  })
  .prefault({})
  .describe('How bad findings are.');

const Repair = z
  .strictObject({
    rules: z
      .array(
        z.strictObject({
          tables: z.array(tablePattern()).min(1).prefault(['*.*']).describe('Tables that it is about, as patterns.'),
          kinds: z
            .array(z.enum(REPAIRABLE_KINDS))
            .min(1)
            .optional()
            .describe(
              'Kinds that it is about, seen from the primary. Default: all; with action: repair, those that no row is deleted for, so that a deletion asks unless a rule names it.',
            ),
          action: z
            .enum(['repair', 'ask', 'report'])
            .describe('repair: by itself. ask: put into the review queue. report: only said.'),
          truth: z.enum(SIDES).optional().describe('Who is right. Default: the primary.'),
        }),
      )
      .prefault([])
      .describe(
        'What is done about what differs: the first that matches counts. At their end: ask, the primary is right.',
      ),
    limits: z
      .strictObject({
        rows: z
          .int()
          .min(0)
          .max(1_000_000_000)
          .prefault(1_000)
          .describe('A run that would repair more rows than this by itself asks.'),
        share: percent().prefault('1%').describe("More than this share of a table's rows always asks."),
      })
      .prefault({})
      .describe('Limits past which a person is always asked.'),
    batch: z.int().min(1).max(10_000).prefault(100).describe('Rows of one transaction.'),
    rowsPerSecond: numberOrNone(1, 10_000_000)
      .prefault('none')
      .describe('Most rows repaired a second; none: as fast as it goes.'),
  })
  .prefault({})
  .describe('What may be done about differences.');

const Review = z
  .strictObject({
    expireAfter: duration(MINUTE).prefault('7d').describe('How long an item waits for a person.'),
    onExpiry: z
      .enum(['keep', 'reject', 'repair'])
      .prefault('keep')
      .describe(
        'What becomes of an item that nobody decided. keep: it waits on. reject: it is not repaired. repair: it is.',
      ),
  })
  .prefault({})
  .describe('What waits for a person.');

const Limits = z
  .strictObject({
    parallelism: z.int().min(1).max(64).prefault(2).describe('Tables, or pieces of them, compared at once.'),
    bytesPerSecond: rateOrNone(1_000, TiB)
      .prefault('none')
      .describe('Most bytes a second read from both sides together, such as 20MB/s; none: as fast as it goes.'),
    rowsPerSecond: numberOrNone(1, 1_000_000_000)
      .prefault('none')
      .describe('Most rows a second read from both sides together; none: as fast as it goes.'),
    statementTimeout: duration(SECOND, DAY)
      .prefault('60s')
      .describe('Of one statement that reads rows in bulk. One that would take longer is cut into smaller ones.'),
    lockTimeout: duration(1, 60 * SECOND)
      .prefault('2s')
      .describe('How long a row or table lock may be waited for to settle a suspect.'),
    leafRows: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(1_000)
      .describe('Rows of one leaf, which is read whole once its hash differs.'),
    slowDown: z
      .strictObject({
        replicationLag: durationOrNone(SECOND)
          .prefault('30s')
          .describe("Wait while a standby or subscriber of either side is later than this; none: don't look."),
        activeSessions: numberOrNone(1, 1_000_000)
          .prefault('none')
          .describe("Wait while more sessions of clients than this do something on either side; none: don't look."),
        probe: z
          .strictObject({
            sql: sql().describe('Query that is run on both sides, such as one that your users wait for.'),
            maxLatency: duration(1, MINUTE).describe('Wait while it takes longer than this.'),
          })
          .optional()
          .describe('A query whose latency is watched. Default: none.'),
      })
      .prefault({})
      .describe('Limits of either side past which the run waits.'),
    busy: z
      .strictObject({
        transactions: numberOrNone(1, 1_000_000_000)
          .prefault(100)
          .describe(
            "Transactions a second of others on either server, all databases together, above which it is busy; none: don't look.",
          ),
        share: percent(0.001)
          .prefault('1%')
          .describe('Share of the time that reads may take while either side is busy, in statements of milliseconds.'),
      })
      .prefault({})
      .describe(
        'How the run makes room for others: an idle server is read as fast as it goes, a busy one now and then.',
      ),
  })
  .prefault({})
  .describe('How gently it is done.');

const Schedule = z
  .strictObject({
    level: z
      .enum(LEVELS)
      .optional()
      .describe("What each run looks at. Default: the level that the schedule's name is."),
    every: duration(10 * SECOND)
      .optional()
      .describe('Rhythm, counted from midnight UTC of 1970, such as 15m. This, or cron.'),
    cron: cron().optional().describe('Calendar, in timeZone: minute, hour, day of the month, month, day of the week.'),
    timeZone: timeZone().prefault('UTC').describe('Time zone of cron, such as Europe/Berlin.'),
    jitter: duration(0, DAY).prefault('30s').describe('Each run begins up to this much later, by chance.'),
    catchUpWindow: duration(10 * SECOND)
      .prefault('1h')
      .describe('Runs that were missed while Temporal was down are caught up if they are no older than this.'),
    overlap: z
      .enum(['skip', 'buffer-one'])
      .prefault('skip')
      .describe(
        'What happens when the last run of this schedule still goes. skip: nothing. buffer-one: one begins when it ends.',
      ),
  })
  .describe('One rhythm: every or cron.');

export const Reconciliation = z
  .strictObject({
    $schema: z.string().optional().describe('Where editors find this schema, in a JSON file. Without effect.'),
    apiVersion: z.literal(API_VERSION).describe('Version of this format.'),
    kind: z.literal(RECONCILIATION_KIND).describe('What the file describes.'),
    metadata: z
      .strictObject({
        name: label().describe(
          'Name of the reconciliation: under it runs, watermarks and schedules are kept, and a person types it to confirm a repair.',
        ),
      })
      .describe('What the reconciliation is called.'),
    spec: z
      .strictObject({
        source: Side('source, one of the two databases'),
        target: Side('target, the other one; what is kept of runs is kept there, in the schema godwit'),
        primary: z
          .enum(SIDES)
          .prefault('source')
          .describe('The side that takes the writes; kinds of findings are named as seen from it.'),
        replication: Replication,
        tables: Tables,
        columns: Columns,
        level: z
          .enum(LEVELS)
          .prefault('comprehensive')
          .describe(
            'What a run looks at that names no level. quick: structure, counts, sequences, the newest rows. comprehensive: every row. deep: and all else by which two databases answer differently. business: your own rules.',
          ),
        sample: Sample.optional(),
        incremental: Incremental.optional(),
        checks: Checks,
        severity: Severity,
        repair: Repair,
        review: Review,
        limits: Limits,
        schedules: z
          .record(label(), Schedule)
          .optional()
          .describe(
            'Rhythms, by name, that `godwit schedule create` makes. Default: quick every 15m, comprehensive every 4h, deep daily at 02:00 UTC, business Sundays at 03:00 UTC.',
          ),
        taskQueue: queueName()
          .optional()
          .describe(
            'Queue of workers next to these databases, which serve NAME and NAME-bulk. Default: godwit and godwit-bulk.',
          ),
      })
      .describe('What is compared, how, and what is done about it.'),
  })
  .describe('A reconciliation: two databases that should hold the same rows.');

/** The document as written. */
export type ReconciliationDocument = z.input<typeof Reconciliation>;
/** The document with defaults, in milliseconds, bytes and shares of 1. */
export type ParsedReconciliation = z.output<typeof Reconciliation>;
export type ParsedReconciliationSpec = ParsedReconciliation['spec'];
