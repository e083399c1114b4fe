-- What schema and copy keep on the target while they work. Rows go with the scope's authority row.

-- Keys, indexes, triggers and the like of a copied schema, in the order of the dump; applied after the rows.
create table if not exists godwit.deferred_ddl (
  scope       text not null references godwit.authority on delete cascade,
  seq         integer not null,
  kind        text not null check (kind in ('key', 'index', 'other', 'foreign-key', 'trigger')),
  -- Table it belongs to, for ordering and for people; empty when it belongs to none.
  schema_name text not null,
  table_name  text not null,
  title       text not null,
  statement   text not null,
  done        boolean not null default false,
  primary key (scope, seq)
);

-- What we made on the target, so that undo drops exactly that. By OID: a rename doesn't hide an object from its undo.
create table if not exists godwit.created_object (
  scope    text not null references godwit.authority on delete cascade,
  seq      integer not null,
  class    oid not null,
  object   oid not null,
  -- 'drop', or 'empty' for a table that was there without rows.
  undo     text not null check (undo in ('drop', 'empty')),
  type     text not null,
  identity text not null,
  primary key (scope, seq)
);

-- Settings of the database, and of roles in it ('': of all), that weren't there before.
create table if not exists godwit.carried_setting (
  scope text not null references godwit.authority on delete cascade,
  role  text not null,
  name  text not null,
  value text not null,
  primary key (scope, role, name)
);

create table if not exists godwit.copy_run (
  scope      text primary key references godwit.authority on delete cascade,
  -- Consistent point of the slot that all copied rows belong to; null while rows are being copied.
  rows_lsn   pg_lsn,
  copy_ms    bigint not null default 0,
  index_ms   bigint not null default 0,
  ranges_kept integer not null default 0,
  -- What lets copiers write into the fenced target; its hash is in the fence's function.
  token       text
);
alter table godwit.copy_run add column if not exists token text;

-- Sync groups: tables that were copied out of one snapshot, and follow from its slot.
create table if not exists godwit.copy_group (
  scope text not null references godwit.authority on delete cascade,
  seq   integer not null,
  -- planning: its snapshot is held, and its ranges aren't known yet. live: its tables are being copied. closed: the snapshot is lost; the tables that were whole by then
  -- follow from a slot of their own. handed-over: from now on their changes come by the scope's own slot.
  state text not null check (state in ('planning', 'live', 'closing', 'closed', 'adopting', 'handed-over', 'merged')),
  -- The slot's consistent point.
  lsn   pg_lsn,
  -- Files of the tables when the snapshot was taken: one that changes can't be read by it any more.
  files text not null default '',
  -- Somebody waits for a table that the snapshot's holder has locked, and a copier behind him: one of the two has to give way.
  contended boolean not null default false,
  primary key (scope, seq)
);

-- Tables of a closed group.
create table if not exists godwit.copy_group_table (
  scope       text not null references godwit.authority on delete cascade,
  seq         integer not null,
  schema_name text not null,
  table_name  text not null,
  primary key (scope, schema_name, table_name)
);

-- Names under which processes export the snapshot of the live group: it lives while one of them does.
create table if not exists godwit.copy_snapshot (
  scope text not null references godwit.authority on delete cascade,
  seq   integer not null,
  name  text not null,
  primary key (scope, name)
);

create table if not exists godwit.copy_range (
  scope       text not null references godwit.authority on delete cascade,
  schema_name text not null,
  table_name  text not null,
  seq         integer not null,
  -- key: lo and hi are values of the integer key; ctid: block numbers; whole: neither.
  kind        text not null check (kind in ('key', 'ctid', 'whole')),
  -- lo <= value < hi; null: open.
  lo          bigint,
  hi          bigint,
  estimate    bigint not null,
  rows        bigint not null default 0,
  bytes       bigint not null default 0,
  -- Committed together with the rows, so that a crash can't count a range twice.
  state       text not null default 'planned' check (state in ('planned', 'done')),
  -- Of the table: the biggest go first.
  priority    bigint not null default 0,
  primary key (scope, schema_name, table_name, seq)
);
alter table godwit.copy_range add column if not exists priority bigint not null default 0;
-- In the order in which they are taken: 10,000 tables of one size were sorted anew for each of them.
create index if not exists copy_range_next
  on godwit.copy_range (scope, priority desc, schema_name, table_name, seq) where state = 'planned';
