import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { find, repair } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let name = '';
let databases = 0;

beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.destroy());

beforeEach(async () => {
  databases += 1;
  name = `shop_${databases}`;
  for (const server of [pair.source, pair.target]) await server.createDatabase(name);
  await on('source', 'create table customer (id bigint primary key, name text)');
});

async function on(side: 'source' | 'target', sql: string): Promise<void> {
  await pair[side].query(sql, [], name);
}

const move = (): DatabaseMove => moveOf(pair, name);

test('triggers that fire while changes are applied are errors on either side, ordinary ones are not', async () => {
  const trigger = `
    create function touch() returns trigger language plpgsql as 'begin return new; end';
    create trigger plain before insert on customer for each row execute function touch();
    create trigger always before insert on customer for each row execute function touch();
    create trigger "On Replica" before insert on customer for each row execute function touch();
    alter table customer enable always trigger always, enable replica trigger "On Replica"`;
  await on('target', 'create table customer (id bigint primary key, name text)');
  for (const side of ['source', 'target'] as const) {
    await on(side, trigger);
    const finding = await find(move(), 'always-trigger', side);
    expect(finding).toMatchObject({
      severity: 'error',
      evidence: '"On Replica" on public.customer (ENABLE REPLICA), always on public.customer (ENABLE ALWAYS)',
    });
    await repair(finding, pair[side], name);
    expect(await find(move(), 'always-trigger', side)).toBeUndefined();
  }
});

test('a rule on a table is said', async () => {
  await on('source', 'create rule quiet as on delete to customer do instead nothing');
  expect(await find(move(), 'table-rule')).toMatchObject({
    severity: 'info',
    evidence: 'quiet on public.customer (enabled)',
  });
});

test('an event trigger is a warning until it is disabled', async () => {
  await on(
    'target',
    `create function noisy() returns event_trigger language plpgsql as 'begin end';
     create event trigger watcher on ddl_command_start execute function noisy()`,
  );
  const finding = await find(move(), 'event-trigger');
  expect(finding).toMatchObject({ severity: 'warning', side: 'target', evidence: 'watcher on ddl_command_start' });
  await repair(finding, pair.target, name);
  expect(await find(move(), 'event-trigger')).toBeUndefined();
});

test('functions that swallow every exception are named, those that raise again are not', async () => {
  await on(
    'source',
    `create function swallows() returns void language plpgsql as $$
       begin insert into customer values (1); exception when others then -- never mind
         null; end $$;
     create function returns_null(int) returns int language plpgsql as $$
       begin return 1; exception WHEN OTHERS THEN /* all
         of them */ RETURN null; end $$;
     create function empty_handler() returns void language plpgsql as $$
       begin perform 1; exception when others then end $$;
     create function raises() returns void language plpgsql as $$
       begin perform 1; exception when others then raise; end $$;
     create function logs() returns void language plpgsql as $$
       begin perform 1; exception when others then raise warning 'no'; raise; end $$`,
  );
  expect(await find(move(), 'swallowed-exceptions')).toMatchObject({
    severity: 'warning',
    evidence:
      'WHEN OTHERS THEN without a RAISE in public.empty_handler(), public.returns_null(integer), public.swallows()',
  });
  await on(
    'source',
    `drop function returns_null, empty_handler;
     create or replace function swallows() returns void language plpgsql as $$
       begin insert into customer values (1);
       exception when read_only_sql_transaction then raise; when others then null; end $$`,
  );
  expect(await find(move(), 'swallowed-exceptions')).toBeUndefined();
});

test('a role without rights learns every one it lacks, and the statements grant them', async () => {
  const role = `mover_${databases}`;
  for (const server of [pair.source, pair.target]) await server.query(`create role ${role} login password 'mover'`);
  await pair.source.query(`create role owner_${databases}`);
  await on('source', `alter table customer owner to owner_${databases}`);
  const limited = move();
  process.env['TEST_LIMITED_SOURCE'] = pair.source.url(name, role, 'mover');
  process.env['TEST_LIMITED_TARGET'] = pair.target.url(name, role, 'mover');
  limited.database.source = { env: 'TEST_LIMITED_SOURCE' };
  limited.database.target = { env: 'TEST_LIMITED_TARGET' };

  const finding = await find(limited, 'privilege-missing', 'source');
  expect(finding).toMatchObject({ severity: 'error' });
  expect(finding?.repair).toEqual([
    `ALTER ROLE "${role}" REPLICATION`,
    `GRANT CREATE ON DATABASE "${name}" TO "${role}"`,
    `GRANT "owner_${databases}" TO "${role}"`,
  ]);
  const impossible = await find(limited, 'superuser-needed', 'source');
  expect(impossible?.evidence).toMatch(/before version 16 only a superuser makes subscriptions/);
  expect(await find(limited, 'activity-hidden', 'source')).toMatchObject({ severity: 'warning' });
  // Whatever else such a role may not see must not keep the other checks from running.
  const { preflightDatabase } = await import('../../activities/preflight/preflight.js');
  const failed = (await preflightDatabase(limited)).filter(({ id }) => id === 'check-failed');
  expect(failed).toEqual([]);

  for (const side of ['source', 'target'] as const) {
    await repair(await find(limited, 'activity-hidden', side), pair[side], name);
    expect(await find(limited, 'activity-hidden', side)).toBeUndefined();
    await repair(await find(limited, 'privilege-missing', side), pair[side], name);
    expect(await find(limited, 'privilege-missing', side)).toBeUndefined();
  }
});

test('row security that hides rows from the role is an error, and only said for one that bypasses it', async () => {
  const role = `reader_${databases}`;
  await pair.source.query(`create role ${role} login password 'reader'`);
  await on('source', `alter table customer enable row level security; grant select on customer to ${role}`);
  expect(await find(move(), 'row-security')).toMatchObject({ severity: 'info', evidence: 'public.customer' });
  const limited = move();
  process.env['TEST_READER'] = pair.source.url(name, role, 'reader');
  limited.database.source = { env: 'TEST_READER' };
  const finding = await find(limited, 'row-security-hides');
  expect(finding).toMatchObject({ severity: 'error', repair: [`ALTER ROLE ${role} BYPASSRLS`] });
  await repair(finding, pair.source, name);
  expect(await find(limited, 'row-security-hides')).toBeUndefined();
});
