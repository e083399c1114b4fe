# psycopg 3 uses libpq, which chooses the host by itself. Writes one row every 20 ms until its input is closed:
#   python examples/clients/psycopg_client.py 'postgresql://app@old,new/orders?target_session_attrs=read-write'
import select
import sys
import time
import uuid

import psycopg
from psycopg.errors import ReadOnlySqlTransaction


def write(url, connection, work):
    """Runs `work` until it succeeds. It must be fine to run twice: a lost connection doesn't say whether it took effect."""
    wait = 0.005
    while True:
        try:
            if connection is None or connection.closed:
                connection = psycopg.connect(url, autocommit=True, connect_timeout=2)
            work(connection)
            return connection
        except (ReadOnlySqlTransaction, psycopg.OperationalError):  # 25006; a lost or refused connection
            if connection is not None:
                connection.close()
            connection = None
            time.sleep(wait)
            wait = min(2 * wait, 0.5)


connection, written = None, 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    row = str(uuid.uuid4())
    connection = write(
        sys.argv[1],
        connection,
        lambda c: c.execute("insert into driver_write (id) values (%s) on conflict do nothing", [row]),
    )
    written += 1
    print(row, flush=True)
print(f"{written} written", file=sys.stderr)
