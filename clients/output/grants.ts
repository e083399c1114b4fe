/** `godwit plan --grants`: SQL that psql takes as it stands, one section a side, everything else in comments. */
import type { Platform, SideGrants } from '../../spec/grants.js';

const PLATFORM: Record<Platform, string> = {
  postgres: 'PostgreSQL',
  rds: 'Amazon RDS',
  aurora: 'Amazon Aurora',
  cloudsql: 'Cloud SQL',
};

export function grantsText(sides: SideGrants[]): string {
  return sides.map(sideText).join('\n\n');
}

/** Whether an administrator still has to do something. */
export function isMissing(side: SideGrants): boolean {
  return side.statements.some(({ held }) => !held) || side.settings.length > 0;
}

function sideText(side: SideGrants): string {
  return [
    `-- ${side.unit}, ${side.side}: ${PLATFORM[side.platform]} ${side.serverVersion}`,
    `-- For the role ${inLine(side.role)}. Run it as an administrator, in the database ${inLine(side.database)}.`,
    ...(side.superuser ? ['-- The role is a superuser and needs none of this; as a plain role it would.'] : []),
    ...side.impossible.map((text) => `-- NOT POSSIBLE BY A GRANT: ${inLine(text)}`),
    ...side.settings.map(({ name, found, wanted, how }) => `-- ${name} is ${found}, and has to be ${wanted}: ${how}`),
    ...side.statements.map(({ sql, why, held }) => `\n-- ${inLine(why)}${held ? ' (held already)' : ''}\n${sql};`),
  ].join('\n');
}

/** A line break in a name would end the comment. */
function inLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}
