/**
 * What a person writes: `kind: Migration`, v1alpha1. This one schema gives the parser with its defaults, the JSON
 * Schema that editors complete and check by, and docs/specification.md; `npm run schema` writes the last two.
 * Its input is the document; its output holds milliseconds, bytes and defaults, and `normalize.ts` makes the normal
 * form of it. Free of Node's APIs.
 */
import { z } from 'zod';
import { businessRules } from './business-rules.js';
import {
  chosenTables,
  duration,
  durationOrNone,
  hostPort,
  queueName,
  httpUrl,
  label,
  rateOrNone,
  size,
  sizeOrNone,
  standbyName,
  tablePattern,
  timeOfDay,
} from './fields.js';
import { MetricGates } from './gates.js';
import { Metrics } from './metrics.js';
import { SecretReferenceSchema } from './secret-reference.js';
import { Traffic } from './traffic.js';
import { DAYS } from './window.js';

export const API_VERSION = 'godwit.dev/v1alpha1';
export const KIND = 'Migration';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const TiB = 2 ** 40;

const PgBouncer = z.strictObject({
  name: label().optional().describe('Name in plan and status. Default: pgbouncer-1, pgbouncer-2, … by position.'),
  admin: SecretReferenceSchema.describe(
    'Where to find the URL of the admin console (…/pgbouncer). Each process needs an address of its own: with so_reuseport an admin connection lands on any of them.',
  ),
  database: z
    .string()
    .regex(/^[^\s*="']+$/, {
      error: "expected the name of one entry in [databases]; the fallback * can't be paused on its own",
    })
    .describe(
      'Entry in [databases] that clients connect to. Every alias of the same database needs an endpoint of its own.',
    ),
  configFile: z
    .string()
    .regex(/^\//, { error: 'expected an absolute path, as the worker sees it, such as /etc/pgbouncer/pgbouncer.ini' })
    .describe(
      'Absolute path of pgbouncer.ini, as the worker sees it. The entry is rewritten there, so that a restart keeps it.',
    ),
  hosts: z
    .strictObject({
      source: hostPort().optional().describe('host:port of the source, as the pooler reaches it.'),
      target: hostPort().optional().describe('host:port of the target, as the pooler reaches it.'),
    })
    .prefault({})
    .describe(
      "What to write into the entry, where the pooler reaches the servers by other addresses than the worker. Default: host and port of each side's URL.",
    ),
});

const MultiHost = z.strictObject({
  name: label().optional().describe('Name in plan and status. Default: multi-host-1, … by position.'),
  roles: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'Roles whose sessions on the old side are ended after a switch, so that their drivers connect anew. Default: all roles.',
    ),
  applications: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Only sessions with these values of application_name are ended. Default: all.'),
});

const Hook = z.strictObject({
  name: label().optional().describe('Name in plan, in status and in each call. Default: hook-1, … by position.'),
  url: httpUrl().describe(
    'Gets POST with {"primary": "source"} or {"primary": "target"}; answers 2xx once, or as soon as, it has begun to lead there. The same call may come again.',
  ),
  token: SecretReferenceSchema.optional().describe(
    'Where to find a token, sent as Authorization: Bearer with every call. Never to another address: redirects are not followed.',
  ),
  check: z
    .strictObject({
      url: httpUrl().optional().describe('Asked by GET where the hook leads now. Default: url.'),
      status: z
        .strictObject({
          source: z.int().min(200).max(599).describe('Status of the answer while it leads to the source.'),
          target: z.int().min(200).max(599).describe('Status of the answer while it leads to the target.'),
        })
        .optional()
        .describe(
          'Which status means which side. Default: the status is 200 and the body {"primary": "source"} or {"primary": "target"}.',
        ),
    })
    .prefault({})
    .describe('How to find out where the hook leads.'),
  pause: httpUrl()
    .optional()
    .describe(
      'Gets POST before the fence; answers 2xx once it holds all clients. Comes with resume. Default: clients are not held.',
    ),
  resume: httpUrl().optional().describe('Gets POST to let the clients go on, also when they were not held.'),
  timeout: duration(50, 60 * SECOND)
    .prefault('2s')
    .describe('Longest wait for one answer. A call without one is tried again, within cutover.maxPause.'),
  hosts: z
    .strictObject({
      source: hostPort().optional().describe('host:port of the source, as your clients reach it.'),
      target: hostPort().optional().describe('host:port of the target, as your clients reach it.'),
    })
    .prefault({})
    .describe("What the call names as the place to lead to. Default: host and port of each side's URL."),
});

const NoEndpoint = z.strictObject({
  name: label().optional().describe('Name in plan and status. Default: none-1, … by position.'),
});

/** By the name that a person writes; in messages and docs in this order. */
const ENDPOINT_KINDS = {
  pgbouncer: PgBouncer.describe('A PgBouncer process in transaction or statement mode.'),
  multiHost: MultiHost.describe(
    'Clients that have both hosts in their URL and choose the one that takes writes: target_session_attrs=read-write.',
  ),
  hook: Hook.describe('A call of your own that leads clients to the primary: a proxy, a name, a configuration.'),
  none: NoEndpoint.describe(
    'Clients that nothing moves: they meet SQLSTATE 25006, and connect elsewhere by themselves.',
  ),
};

export type EndpointKind = keyof typeof ENDPOINT_KINDS;

/** Names of the kinds. That an entry is of exactly one of them is checked beside the schema. */
export const ENDPOINT_KIND_NAMES = Object.keys(ENDPOINT_KINDS) as EndpointKind[];

const Endpoint = z
  .strictObject({
    pgbouncer: ENDPOINT_KINDS.pgbouncer.optional(),
    multiHost: ENDPOINT_KINDS.multiHost.optional(),
    hook: ENDPOINT_KINDS.hook.optional(),
    none: ENDPOINT_KINDS.none.optional(),
  })
  .meta({ minProperties: 1, maxProperties: 1 })
  .describe('Something that must point at the primary: one of these kinds.');

const Replication = z
  .strictObject({
    url: SecretReferenceSchema.optional().describe(
      'Where to find the URL by which the other server reaches this one, to replicate from it: another address, user or sslmode than that of the workers. Paths in it, such as of sslrootcert, are those of the other server. Default: url.',
    ),
    passfile: z
      .string()
      .regex(/^\//, { error: 'expected an absolute path on the other server, such as /etc/postgresql/pgpass' })
      .optional()
      .describe(
        'Absolute path of a password file on the other server, whose subscription then holds no password. Only superusers may subscribe without one. Default: the subscription holds the password.',
      ),
  })
  .prefault({})
  .describe('How the other server reaches this one, where that is not as the workers do.');

const Side = (what: string) =>
  z.strictObject({
    url: SecretReferenceSchema.describe(
      `Where to find the URL of the ${what}: postgres://user:password@host:port/database.`,
    ),
    replication: Replication,
  });

const Tables = z
  .strictObject({
    ...chosenTables('move'),
    rowFilters: z
      .record(tablePattern(), z.string().trim().min(1).max(4_096))
      .prefault({})
      .describe(
        'Rows to move, as table pattern: condition, such as shop.orders: tenant_id in (7, 8); all rows of the others. Asks for version 15 or newer on the source, and for columns of the replica identity. The table is fenced whole: rows left behind can be read there, and not written any more once the writes have moved.',
      ),
    unlogged: z
      .record(tablePattern(), z.enum(['copy', 'empty']))
      .prefault({})
      .describe(
        'What becomes of unlogged tables, which no replication carries, as table pattern: copy or empty. copy: each switch, there and back, carries their rows while nobody writes, so the pause is as much longer. empty: they are empty on the new side, as after a crash of their server. Those that no pattern names are refused.',
      ),
  })
  .prefault({})
  .describe('Which tables move. Tables joined by foreign keys belong together.');

export const Copy = z
  .strictObject({
    parallelism: z.int().min(1).max(64).prefault(4).describe('Ranges copied at once.'),
    rangeSize: size(8 * 1024, TiB)
      .prefault('64MiB')
      .describe('Aim for the size of one range of a table. An interrupted copy goes on at whole ranges.'),
    rateLimit: rateOrNone(1_000, TiB)
      .prefault('none')
      .describe('Most bytes a second over all ranges, such as 20MB or 20MB/s; none: as fast as it goes.'),
    workers: z
      .int()
      .min(1)
      .max(32)
      .prefault(1)
      .describe(
        'Copiers that share the ranges, and the parallelism and rate between them; each may run on a worker of its own.',
      ),
    slowDown: z
      .strictObject({
        standbyLag: durationOrNone(SECOND)
          .prefault('none')
          .describe("Wait while a streaming standby of the source replays later than this; none: don't look."),
        activeSessions: z
          .union([z.int().min(1), z.literal('none')])
          .prefault('none')
          .transform((sessions) => (sessions === 'none' ? null : sessions))
          .describe("Wait while more sessions of clients than this do something on the source; none: don't look."),
      })
      .prefault({})
      .describe('Limits of the source past which the copy waits, looked at every second.'),
  })
  .prefault({})
  .describe('How rows are copied.');

export const Window = z
  .strictObject({
    days: z
      .array(z.enum(DAYS))
      .min(1)
      .prefault([...DAYS])
      .describe('Days on which the window opens.'),
    from: timeOfDay().describe('When it opens, HH:MM in UTC.'),
    to: timeOfDay().describe(
      'When it closes, HH:MM in UTC; earlier than from: on the day after. 24:00 is the end of the day.',
    ),
  })
  .describe('Weekly window, in UTC, in which an attempt may begin. Default: at any time.');

export const Probation = z
  .strictObject({
    for: duration(0, 30 * MINUTE)
      .prefault('5m')
      .describe(
        'How long the gates must have been seen to hold after the switch, before anything else goes on. Time without evidence does not count.',
      ),
    every: duration(100).prefault('10s').describe('Rhythm of looks at the gates.'),
    gates: MetricGates.prefault([]).describe(
      'What must hold, as in watch.gates; a failure moves the writes back by itself, without loss. Default: the gates of watch.',
    ),
  })
  .describe('The first minutes after the switch, judged on metrics. Default: none.');

export const Cutover = z
  .strictObject({
    maxPause: duration(1, 5 * MINUTE)
      .prefault('5s')
      .describe(
        'Longest pause of writes, from the first PAUSE to the last RESUME. An attempt that would take longer undoes itself before the point of no return.',
      ),
    maxLag: duration(1, 60 * MINUTE)
      .prefault('5s')
      .describe('An attempt begins only while a change needs less than this to arrive at the target.'),
    attempts: z.int().min(1).max(1_000).prefault(5).describe('Attempts before the migration waits for a person.'),
    waitBetweenAttempts: duration().prefault('1m').describe('Wait after an attempt that undid itself.'),
    window: Window.optional(),
    probation: Probation.optional(),
    standbys: z
      .strictObject({
        ignore: z
          .array(standbyName())
          .prefault([])
          .describe(
            'Standbys that are out: by application_name, or by their slot. The switch waits for no word of them, so none of them may ever be promoted.',
          ),
      })
      .prefault({})
      .describe(
        'Physical standbys of the side that cedes. Each must know of the switch before the other side opens: one that is promoted later without knowing would take writes.',
      ),
  })
  .prefault({})
  .describe('The switch of the writes: short, guarded, undone by itself before its point of no return.');

export const Watch = z
  .strictObject({
    for: duration()
      .prefault('72h')
      .describe('How long the way back stays open after the switch: writes are replicated back to the source.'),
    every: duration(100).prefault('30s').describe('Rhythm of lag and health checks.'),
    validateEvery: durationOrNone(SECOND)
      .prefault('6h')
      .describe('Rhythm of validation while watching; none: not at all.'),
    onFailure: z
      .enum(['hold', 'undo'])
      .prefault('hold')
      .describe('What a failed check does: hold waits for a person, undo moves the writes back.'),
    gates: MetricGates.prefault([]).describe(
      'What must hold for users, judged on metrics at every look. Asks for spec.metrics.',
    ),
  })
  .prefault({})
  .describe('After the switch: what is checked, and how long the way back stays open.');

export const Lookout = z
  .strictObject({
    every: duration(100)
      .prefault('30s')
      .describe('Rhythm of looks at lag, slot and tables before the switch. After it, watch.every counts.'),
    maxLag: duration(SECOND, 24 * 60 * MINUTE)
      .prefault('60s')
      .describe('Longest lag of a side that had caught up; more of it asks a person.'),
    stall: duration(SECOND)
      .prefault('30m')
      .describe('Longest time without any progress of a copy, or of a replication that has something to do.'),
    maxRetainedWal: sizeOrNone(1024 * 1024, TiB)
      .prefault('none')
      .describe(
        'Most WAL that the slot may hold back on the side that takes the writes; a warning comes at 70 % of it.',
      ),
    onLimit: z
      .enum(['hold', 'drop'])
      .prefault('hold')
      .describe(
        'What happens at maxRetainedWal. hold: a person is asked. drop: the slot is given up, so that the disk is safe; before the switch the sync then starts anew, after it the way back is lost.',
      ),
  })
  .prefault({})
  .describe('What is looked at all the time, and when a person is asked.');

export const Validation = z
  .strictObject({
    parallelism: z.int().min(1).max(64).prefault(2).describe('Tables compared at once.'),
    leafRows: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(1_000)
      .describe('Rows of one leaf, which is read whole once its hash differs.'),
    lockTimeout: duration(1, 60 * SECOND)
      .prefault('2s')
      .describe('How long a row or table lock may be waited for to settle a suspect.'),
    exclude: z
      .array(tablePattern())
      .prefault([])
      .describe('Tables that are moved but not compared, as patterns. The certificate names them.'),
    rules: businessRules('high; a broken one of low severity is only said').describe(
      'Rules of your own in SQL, asked whenever the rows are equal: before the switch a broken one holds the migration, while watching it asks a person, as rows that differ do.',
    ),
    ruleTimeout: duration(SECOND, 24 * 60 * MINUTE)
      .prefault('60s')
      .describe('Longest that one statement of a rule may take. One that takes longer proves nothing.'),
    ignoreRules: z
      .array(label())
      .prefault([])
      .describe('Rules that are not asked, by name; status and report name them.'),
  })
  .prefault({})
  .describe('Comparison of both sides under live writes, before the switch and while watching.');

const Database = z
  .strictObject({
    dependsOn: z
      .array(z.string())
      .prefault([])
      .describe(
        'Units that switch before this one, written TYPE/NAME, such as database/customers. Undo goes the other way round.',
      ),
    source: Side('database to move from').describe('The database to move from; the primary until the switch.'),
    target: Side('database to move to').describe(
      "The database to move to. It exists already; its tables in scope don't, or are empty.",
    ),
    tables: Tables,
    schema: z
      .enum(['copy', 'existing'])
      .prefault('copy')
      .describe('copy: made on the target with pg_dump. existing: made by a tool of your own, and compared.'),
    endpoints: z
      .array(Endpoint)
      .prefault([])
      .describe('All that must point at the primary; paused, moved and resumed by the switch.'),
    copy: Copy,
    cutover: Cutover,
    lookout: Lookout,
    watch: Watch,
    validation: Validation,
    taskQueue: queueName()
      .optional()
      .describe(
        "Queues of this database's own, for workers next to it: NAME, NAME-bulk, NAME-snapshot and NAME-switch. Default: godwit, godwit-bulk, godwit-snapshot, godwit-switch.",
      ),
  })
  .describe('One database: a unit, written database/NAME.');

export const Gate = z.strictObject({
  approvals: z
    .int()
    .min(0)
    .max(20)
    .prefault(1)
    .describe('How many different people must approve; 0 turns the gate off.'),
  validFor: duration(SECOND).prefault('24h').describe('How long an approval counts.'),
});

/** `STAGE` or `STAGE:TYPE/NAME`; which units there are, `normalize.ts` knows. */
const GATE_ID = '^(prepare|switch|finalize)(:(database|traffic)/[a-z0-9-]+)?$';

const Gates = z
  .object({
    prepare: Gate.optional().describe('Before anything is written anywhere. Default: off.'),
    switch: Gate.optional().describe('Before the writes or the traffic are moved. Default: one approval.'),
    finalize: Gate.optional().describe('Before the way back is removed, for good. Default: one approval.'),
  })
  .catchall(Gate)
  .meta({ propertyNames: { pattern: GATE_ID } })
  .prefault({})
  .describe(
    "Points that wait for people, by STAGE or STAGE:UNIT, such as switch:database/orders. The gate of one unit stands in place of its stage's gate, for that unit. An approval is typed: it repeats the migration's name and is bound to the plan.",
  );

const Rollback = z
  .strictObject({
    databases: duration(SECOND)
      .prefault('30m')
      .describe('For moving the writes of one database back and removing what was made for it.'),
    infrastructure: duration(SECOND).prefault('15m').describe('For infrastructure.'),
    services: duration(SECOND).prefault('5m').describe('For each service.'),
    traffic: duration(SECOND).prefault('2m').describe('For moving the traffic back.'),
  })
  .prefault({})
  .describe('Time budgets of undo. One that passes is reported; it is never a reason to stop undoing.');

export const Migration = z
  .strictObject({
    $schema: z.string().optional().describe('Where editors find this schema, in a JSON file. Without effect.'),
    apiVersion: z.literal(API_VERSION).describe('Version of this format.'),
    kind: z.literal(KIND).describe('What the file describes.'),
    metadata: z
      .strictObject({ name: label().describe("The migration's name: what a person types to confirm an approval.") })
      .describe('What the migration is called.'),
    spec: z
      .strictObject({
        databases: z
          .record(label(), Database)
          .prefault({})
          .describe('The databases to move, by name. All units go in the order of dependsOn, at once where it allows.'),
        traffic: z.record(label(), Traffic).prefault({}).describe('The traffic to move from blue to green, by name.'),
        metrics: Metrics,
        gates: Gates,
        rollback: Rollback,
      })
      .refine(({ databases, traffic }) => Object.keys({ ...databases, ...traffic }).length > 0, {
        error: 'expected at least one unit, under databases or under traffic',
      })
      .describe('What moves, and how.'),
  })
  .describe('A migration: what moves from where to where, how carefully, and who is asked.');

/** The document as written. */
export type MigrationDocument = z.input<typeof Migration>;
/** The document with defaults, in milliseconds and bytes. */
export type ParsedMigration = z.output<typeof Migration>;
export type ParsedDatabase = ParsedMigration['spec']['databases'][string];
export type ParsedEndpoint = ParsedDatabase['endpoints'][number];
