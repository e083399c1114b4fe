-- Certificates of validation, and the keys that differed. Keys are rows' contents: they stay in this database.
create table if not exists godwit.certificate (
  scope    text not null references godwit.authority on delete cascade,
  id       text primary key,
  taken_at timestamptz not null default clock_timestamp(),
  -- json, not jsonb: the digest is of this very text
  body     json not null
);

create table if not exists godwit.validation_difference (
  id          bigint generated always as identity primary key,
  scope       text not null references godwit.authority on delete cascade,
  certificate text not null references godwit.certificate on delete cascade,
  schema_name text not null,
  table_name  text not null,
  -- Columns of the key as text; of a table without a key, the row's hash.
  key         text[] not null,
  -- Of the standby's row, as seen from the primary.
  kind        text not null check (kind in ('missing', 'extra', 'changed', 'count')),
  state       text not null check (state in ('confirmed', 'suspect', 'cleared')),
  found_at    timestamptz not null default clock_timestamp()
);

create index if not exists validation_difference_certificate on godwit.validation_difference (certificate, state);
