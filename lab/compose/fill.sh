#!/bin/sh
# The shop's schema, requests and rows; SHOP holds the SQL scripts, SHOP_SIZE how many rows of each kind.
set -eu
shop="${SHOP:-/shop}"
size="${SHOP_SIZE:-customers=50000 products=5000 orders=100000 accounts=10000 transfers=100000 events=200000}"

run() {
  psql -v ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

PGOPTIONS='-c role=shop' run --file "$shop/schema.sql" --file "$shop/requests.sql"

# Foreign keys hold by construction; checking each row would take twice the time.
options='-c session_replication_role=replica'
for setting in $size; do
  options="$options -c shop.$setting"
done
PGOPTIONS="$options" run --file "$shop/data.sql"
