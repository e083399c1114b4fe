-- What Godwit keeps in both databases. Rows of one scope go with its authority row; the schema goes with the last scope.
create schema if not exists godwit;

create table if not exists godwit.authority (
  scope             text primary key,
  migration         text not null,
  database          text not null,
  side              text not null check (side in ('source', 'target')),
  epoch             bigint not null,
  state             text not null check (state in ('open', 'leased', 'closed', 'ready')),
  -- The attempt that may change this row; see protocol.md, Authority.
  attempt           text not null default '',
  system_identifier text not null,
  timeline          integer not null,
  -- Signature of the tables in scope when the fence was installed; another one at a switch means DDL since.
  signature         text not null default '',
  -- Of the switch under way, by this server's clock: what a resumed attempt measures the pause from.
  paused_at         timestamptz,
  fenced_at         timestamptz,
  -- Of the last switch to this side, for a caller whose answer was lost.
  figures           jsonb,
  updated_at        timestamptz not null default clock_timestamp()
);

-- A table belongs to one scope at most: the constraint refuses a second migration, even one that claims at the same time.
create table if not exists godwit.scope_table (
  scope       text not null references godwit.authority on delete cascade,
  schema_name text not null,
  table_name  text not null,
  -- pg_class.relkind: 'r' table, 'p' partitioned
  kind        "char" not null,
  -- Condition on the rows that move; null: all.
  row_filter  text,
  -- Of an unlogged table, what a switch does: copy its rows, or leave it empty on the new side. Null: it is replicated.
  unlogged    text check (unlogged in ('copy', 'empty')),
  primary key (schema_name, table_name)
);
-- Of a schema that an earlier version made.
alter table godwit.scope_table add column if not exists row_filter text;
alter table godwit.scope_table add column if not exists unlogged text check (unlogged in ('copy', 'empty'));

-- Where each endpoint pointed before anything was changed, to be written back as it was. Kept on the source.
create table if not exists godwit.endpoint_image (
  scope    text not null references godwit.authority on delete cascade,
  endpoint text not null,
  image    text not null,
  primary key (scope, endpoint)
);

-- While this side tells new sessions that it is read-only: since when, by its clock. Sessions from before were told otherwise.
-- Null: the hint has only just been set. Of a scope with a multiHost endpoint.
create table if not exists godwit.read_only_hint (
  scope text primary key references godwit.authority on delete cascade,
  since timestamptz
);

-- Limits of sequences from before the cede capped them.
create table if not exists godwit.sequence_limit (
  scope         text not null references godwit.authority on delete cascade,
  schema_name   text not null,
  sequence_name text not null,
  min_value     bigint not null,
  max_value     bigint not null,
  start_value   bigint not null,
  cycle         boolean not null,
  primary key (scope, schema_name, sequence_name)
);
