-- What reconciliations keep in the target, and nowhere else. Keys and images are rows' contents: they never leave this database
-- but to the person who asks for them.
create schema if not exists godwit;

create table if not exists godwit.reconciliation_run (
  run            text primary key,
  reconciliation text not null,
  level          text not null,
  workflow       text not null,
  state          text not null check (state in ('running', 'done', 'failed')),
  started_at     timestamptz not null default clock_timestamp(),
  ended_at       timestamptz,
  -- Of RunSummary and RunTable[], once it has ended.
  summary        json,
  tables         json,
  -- json, not jsonb: the digest is of this very text.
  certificate    json,
  -- What its first attempt asked for before it read anything: up to where later runs need not look again.
  watermarks     json,
  streams        json
);
alter table godwit.reconciliation_run add column if not exists watermarks json, add column if not exists streams json;
create index if not exists reconciliation_run_by_name on godwit.reconciliation_run (reconciliation, started_at);

-- Who compares or repairs in this database now: its backend holds an advisory lock.
create table if not exists godwit.reconciliation_turn (
  one     boolean primary key check (one),
  run     text not null,
  backend int not null,
  since   timestamptz not null
);

-- How far a run is: pieces of tables that are still to be compared, or were.
create table if not exists godwit.reconciliation_piece (
  run         text not null references godwit.reconciliation_run on delete cascade,
  schema_name text not null,
  table_name  text not null,
  piece       int not null,
  -- What is to be read, and once it is done what was found.
  body        json not null,
  figures     json,
  -- Of a table without an integer key, while it is read: how far that is.
  progress    bytea,
  primary key (run, schema_name, table_name, piece)
);
alter table godwit.reconciliation_piece add column if not exists progress bytea;

create table if not exists godwit.reconciliation_finding (
  id          bigint generated always as identity primary key,
  run         text not null references godwit.reconciliation_run on delete cascade,
  kind        text not null,
  severity    text not null,
  schema_name text not null default '',
  table_name  text not null default '',
  -- Columns of the key as text; of a table without a key, the row's hash. Null: no single row.
  key         text[],
  -- Of what has changed: its columns.
  columns     text[],
  -- The side that it is on, where it is on one only.
  side        text check (side in ('source', 'target')),
  -- Hashes of the row on the primary and on the standby as they were confirmed: a repair refuses what has changed since.
  seen        text[],
  -- Rows that it stands for.
  count       bigint not null default 1,
  -- In words.
  detail      text not null default '',
  -- `suspect`: neither proven equal nor different. `repaired`: mended and verified. `gone`: equal when it was looked at again.
  state       text not null default 'confirmed' check (state in ('confirmed', 'suspect', 'repaired', 'gone')),
  found_at    timestamptz not null default clock_timestamp()
);
create index if not exists reconciliation_finding_by_table
  on godwit.reconciliation_finding (run, schema_name, table_name, kind, state);

create table if not exists godwit.reconciliation_review (
  id             bigint generated always as identity primary key,
  reconciliation text not null,
  finding        bigint not null unique references godwit.reconciliation_finding on delete cascade,
  -- Why it needs a person.
  why            text not null,
  -- `accepted`: the difference may stay. `rejected`: nobody decided in time, or a person wants no repair now.
  state          text not null default 'waiting' check (state in ('waiting', 'accepted', 'rejected', 'repair', 'repaired', 'gone')),
  truth          text not null check (truth in ('source', 'target')),
  created_at     timestamptz not null default clock_timestamp(),
  expires_at     timestamptz,
  on_expiry      text not null,
  decided_at     timestamptz,
  decided_by     text,
  reason         text
);
create index if not exists reconciliation_review_waiting on godwit.reconciliation_review (reconciliation, state);

create table if not exists godwit.reconciliation_repair (
  repair     text primary key,
  run        text not null references godwit.reconciliation_run on delete cascade,
  what       text not null,
  by_whom    text,
  state      text not null check (state in ('running', 'done', 'undoing', 'undone')),
  started_at timestamptz not null default clock_timestamp(),
  ended_at   timestamptz,
  summary    json
);

-- Every row that a repair changed, with what it was and what it became: columns as text, so that each value goes back exactly.
create table if not exists godwit.reconciliation_audit (
  id          bigint generated always as identity primary key,
  repair      text not null references godwit.reconciliation_repair on delete cascade,
  finding     bigint not null,
  side        text not null check (side in ('source', 'target')),
  schema_name text not null,
  table_name  text not null,
  key         text[] not null,
  action      text not null check (action in ('insert', 'update', 'delete')),
  -- `begun`: written down before a row of the other database is changed. `refused`: left as it is; why says so.
  state       text not null check (state in ('begun', 'done', 'refused', 'unneeded', 'undone', 'undo-refused')),
  before      jsonb,
  after       jsonb,
  statement   text not null default '',
  why         text not null default '',
  at          timestamptz not null default clock_timestamp()
);
create index if not exists reconciliation_audit_by_repair on godwit.reconciliation_audit (repair, finding);

-- Up to where an incremental run need not look again.
create table if not exists godwit.reconciliation_watermark (
  reconciliation text not null,
  schema_name    text not null,
  table_name     text not null,
  side           text not null check (side in ('source', 'target')),
  kind           text not null check (kind in ('changes', 'xmin', 'column')),
  value          text not null,
  full_run       text not null,
  full_at        timestamptz not null,
  primary key (reconciliation, schema_name, table_name, side)
);
