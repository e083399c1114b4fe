/** Extensions: on the target, in the same version, and none that goes around triggers. */
import { defineCheck, type Found } from './check.js';
import { each, listed } from './evidence.js';
import { identifier } from '../postgres/statements.js';

type Id = 'extension-unavailable' | 'extension-version' | 'extension-bypasses-fence';

/** These write into tables without the executor's statement triggers, or replicate by means of their own. */
const BYPASSING = ['timescaledb', 'citus', 'pglogical', 'bdr', 'pg_bulkload', 'pg_squeeze', 'pg_repack'];

interface Extension {
  name: string;
  version: string;
}

export const extensions = defineCheck<Id>({
  topic: 'Extensions',
  on: 'both',
  rules: {
    'extension-unavailable': {
      severity: 'error',
      title: 'The target has not the extensions of the source',
      why: 'The schema cannot be made there without them.',
      mend: "Install the extension's package on the target's server, or drop it on the source if nothing uses it.",
    },
    'extension-version': {
      severity: 'warning',
      title: 'Extensions have other versions on the target',
      why: 'Types and functions may differ in form or behaviour.',
      mend: 'Install the same version, or ALTER EXTENSION … UPDATE on the older side.',
    },
    'extension-bypasses-fence': {
      severity: 'warning',
      title: 'Extensions may write past the fence',
      why: 'What does not go through the executor fires no triggers: its writes would not be refused during the switch.',
      mend: "Stop the extension's jobs for the time of the switch, or exclude its tables.",
    },
  },
  find: async ({ source, target }) => {
    const used = await source.rows<Extension>(
      'select extname as name, extversion as version from pg_catalog.pg_extension',
    );
    // What is installed counts before what CREATE EXTENSION would take.
    const there = await target.rows<Extension>(
      `select name, coalesce(installed_version, default_version) as version from pg_catalog.pg_available_extensions`,
    );
    const other = (name: string): string | undefined => there.find((extension) => extension.name === name)?.version;
    const absent = used.filter((extension) => other(extension.name) === undefined);
    const differing = used.filter((extension) => ![undefined, extension.version].includes(other(extension.name)));
    const bypassing = used.filter((extension) => BYPASSING.includes(extension.name));
    const found: Found<Id>[] = [];
    if (absent.length > 0) {
      found.push({
        id: 'extension-unavailable',
        side: 'target',
        evidence: `${listed(absent.map((extension) => `${extension.name} ${extension.version}`))}: not in pg_available_extensions of the target`,
        repair: each(
          absent,
          (extension) =>
            `Install the package of ${extension.name} on the target's server; or on the source, if nothing uses it: DROP EXTENSION ${identifier(extension.name)}`,
        ),
      });
    }
    if (differing.length > 0) {
      found.push({
        id: 'extension-version',
        evidence: listed(differing.map((it) => `${it.name} ${it.version}, ${other(it.name)}`)) + ' (source, target)',
        repair: each(differing, (it) => `On the older side: ALTER EXTENSION ${identifier(it.name)} UPDATE`),
      });
    }
    if (bypassing.length > 0) {
      found.push({
        id: 'extension-bypasses-fence',
        side: 'source',
        evidence: listed(bypassing.map((extension) => extension.name)),
        repair: ['Stop their background jobs for the time of the switch, or name their tables in tables.exclude'],
      });
    }
    return found;
  },
});
