/** An unlogged table that keeps count of a logged one: each entry of the writers leaves a hit, on whichever side it is written. */
import type { PostgresServer } from '../../lab/postgres.js';
import { WRITER_TABLES } from './writers.js';

/** The trigger fires where the write is made; replicated entries leave no hit. */
export const HIT_TABLES = `
  ${WRITER_TABLES}
  create unlogged table hit (id uuid primary key references entry, note text not null, serial bigserial);
  create function seen() returns trigger language plpgsql set search_path = public as $$
    begin insert into hit values (new.id, 'seen'); return null; end $$;
  create trigger seen after insert on entry for each row execute function seen();
`;

export interface Hits {
  entries: number;
  /** Entries without their hit: lost rows of the unlogged table. */
  missing: number;
  /** Hits without their entry. */
  more: number;
}

export async function hits(server: PostgresServer, database: string): Promise<Hits | undefined> {
  const [row] = await server.query<Hits & Record<string, unknown>>(
    `select count(entry.id)::int as entries, (count(*) filter (where hit.id is null))::int as missing,
            (count(*) filter (where entry.id is null))::int as more
     from entry full join hit using (id)`,
    [],
    database,
  );
  return row;
}
