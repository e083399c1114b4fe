#!/bin/sh
# The application's role, which owns its database, as an operator would make it on both servers.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<SQL
create role shop login password 'lab-shop';
alter database "$POSTGRES_DB" owner to shop;
SQL
