# PgBouncer with its configuration in a volume that the worker shares: a cutover rewrites the entry there.
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends pgbouncer \
 && rm -rf /var/lib/apt/lists/* /etc/pgbouncer/* \
 # The worker's user, too, so that both read and write the same file.
 && useradd --uid 10001 godwit
COPY --chown=godwit:godwit pgbouncer.ini users.txt /etc/pgbouncer/
RUN chown godwit:godwit /etc/pgbouncer && chmod 600 /etc/pgbouncer/users.txt
USER godwit
VOLUME /etc/pgbouncer
EXPOSE 6432
# Fast: cuts its clients, rather than waiting for them.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/sbin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
