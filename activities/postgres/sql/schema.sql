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
  updated_at        timestamptz not null default clock_timestamp()
);

-- A table belongs to one scope at most: the constraint refuses a second migration, even one that claims at the same time.
create table if not exists godwit.scope_table (
  scope       text not null references godwit.authority on delete cascade,
  schema_name text not null,
  table_name  text not null,
  -- pg_class.relkind: 'r' table, 'p' partitioned
  kind        "char" not null,
  primary key (schema_name, table_name)
);
