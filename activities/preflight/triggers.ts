/** Code in the databases that fires while changes are applied, or hides what the fence says. */
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const TRIGGERS = statement(import.meta.url, './sql/triggers.sql');
const EVENT_TRIGGERS = statement(import.meta.url, './sql/event_triggers.sql');
const SWALLOWING = statement(import.meta.url, './sql/swallowing_functions.sql');

interface TriggerRow {
  table: string;
  name: string;
  kind: 'trigger' | 'rule';
  enabled: string;
}

const HOW: Record<string, string> = { A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA', O: 'enabled', D: 'disabled' };

export const triggers = defineCheck<'always-trigger' | 'table-rule'>({
  topic: 'Triggers and functions',
  on: 'each side',
  rules: {
    'always-trigger': {
      severity: 'error',
      title: 'Triggers fire while replicated changes are applied',
      why: 'A trigger that is ENABLE ALWAYS or REPLICA runs again on the other side; if it writes into a fenced table, the worker that applies changes fails and restarts for ever.',
      mend: 'ALTER TABLE … ENABLE TRIGGER …, which fires for the writes of applications alone; or disable it for the time of the migration.',
    },
    'table-rule': {
      severity: 'info',
      title: 'Tables have rewrite rules',
      why: 'Rules do not run for replicated changes; what they wrote on the primary is replicated as such.',
      mend: 'Nothing.',
    },
  },
  find: async (session, { tables }) => {
    const rows = await session.rows<TriggerRow>(TRIGGERS, scopeParameters(tables));
    const firing = rows.filter((row) => row.kind === 'trigger');
    const rules = rows.filter((row) => row.kind === 'rule');
    const found: Found<'always-trigger' | 'table-rule'>[] = [];
    if (firing.length > 0) {
      found.push({
        id: 'always-trigger',
        evidence: listed(firing.map((row) => `${row.name} on ${row.table} (${HOW[row.enabled]})`)),
        repair: each(firing, (row) => `ALTER TABLE ${row.table} ENABLE TRIGGER ${row.name}`),
      });
    }
    if (rules.length > 0) {
      found.push({
        id: 'table-rule',
        evidence: listed(rules.map((row) => `${row.name} on ${row.table} (${HOW[row.enabled]})`)),
        repair: [],
      });
    }
    return found;
  },
});

export const eventTriggers = defineCheck<'event-trigger'>({
  topic: 'Triggers and functions',
  on: 'each side',
  rules: {
    'event-trigger': {
      severity: 'warning',
      title: 'Event triggers see what Godwit creates',
      why: 'One that refuses or changes DDL stops Godwit from making its schema, triggers, publication and subscription, or from removing them.',
      mend: 'See that it lets the role of the migration pass, or disable it: ALTER EVENT TRIGGER … DISABLE.',
    },
  },
  find: async (session) => {
    const rows = await session.rows<{ name: string; event: string }>(EVENT_TRIGGERS);
    if (rows.length === 0) return [];
    return [
      {
        id: 'event-trigger',
        evidence: listed(rows.map((row) => `${row.name} on ${row.event}`)),
        repair: each(rows, (row) => `ALTER EVENT TRIGGER ${row.name} DISABLE`),
      },
    ];
  },
});

export const swallowedExceptions = defineCheck<'swallowed-exceptions'>({
  topic: 'Triggers and functions',
  on: 'source',
  rules: {
    'swallowed-exceptions': {
      severity: 'warning',
      title: 'Functions swallow every exception',
      why: 'The fence refuses a write by an exception. WHEN OTHERS THEN NULL turns that into a success: the client believes that its write was kept.',
      mend: 'Let read_only_sql_transaction pass: before WHEN OTHERS, add WHEN read_only_sql_transaction THEN RAISE. Or see that nobody calls the function during the switch.',
    },
  },
  find: async (source) => {
    const rows = await source.rows<{ name: string }>(SWALLOWING);
    if (rows.length === 0) return [];
    return [
      {
        id: 'swallowed-exceptions',
        evidence: `WHEN OTHERS THEN without a RAISE in ${listed(rows.map((row) => row.name))}`,
        repair: ['In each, before WHEN OTHERS: WHEN read_only_sql_transaction THEN RAISE;'],
      },
    ];
  },
});
