/** What undoes each step, in the words of the plan, and how a person finishes it by hand when that fails for good. */
import type { Activities, DatabaseMove } from '../activities/contract.js';
import type { CertificateMove, TrafficActivities, TrafficImage, TrafficMove } from '../activities/traffic-contract.js';
import type { NormalMigration } from '../spec/normal.js';
import type { UndoEntry } from '../spec/undo.js';

/** Steps that leave something behind, in the order in which they run. */
export type UndoneStep =
  | 'claim'
  | 'prepareSchema'
  | 'installFence'
  | 'createPublication'
  | 'initialSync'
  | 'switchWrites'
  | 'requestCertificate'
  | 'writeValidation'
  | 'serveCertificate'
  | 'attachGreen'
  | 'shiftTraffic';

type DatabaseUndo = Extract<keyof Activities, `undo${string}`>;
type TrafficUndo = Extract<keyof TrafficActivities, `undo${string}`>;
type CertificateUndo = Exclude<TrafficUndo, 'undoShift' | 'undoTraffic'>;
type UndoActivity = DatabaseUndo | TrafficUndo;

export interface StepUndo {
  activity: UndoActivity;
  title: string;
  guardsRest?: true;
}

export const UNDO: Record<UndoneStep, StepUndo> = {
  claim: { activity: 'undoClaim', title: 'give the tables up and remove the authority rows of both sides' },
  prepareSchema: { activity: 'undoSchema', title: 'drop what the migration made in the schema of the target' },
  installFence: { activity: 'undoFence', title: 'remove the fences and marker tables of both sides' },
  createPublication: { activity: 'undoPublication', title: 'drop the publications' },
  initialSync: { activity: 'undoInitialSync', title: 'drop subscriptions and slots, and the rows that were copied' },
  switchWrites: { activity: 'undoSwitch', title: 'move the writes back to the source', guardsRest: true },
  requestCertificate: { activity: 'undoCertificate', title: 'delete the certificate that was requested' },
  writeValidation: { activity: 'undoValidation', title: 'delete the validation records of the certificate' },
  serveCertificate: { activity: 'undoServing', title: 'take the certificate off the listener' },
  shiftTraffic: { activity: 'undoShift', title: 'move the traffic back to blue' },
  attachGreen: { activity: 'undoTraffic', title: 'put the listener or the records back as they were found' },
};

/** Named by prefix: every object of a scope carries its key. */
const BY_HAND: Record<DatabaseUndo, (move: DatabaseMove) => string> = {
  undoClaim: ({ key }) =>
    `on both sides: delete from godwit.authority where scope = '${key}'; drop the schema godwit once that table is empty`,
  undoSchema: ({ key }) => `on the target: drop the tables that were made for the scope ${key}; they hold copies only`,
  undoFence: ({ key }) =>
    `on both sides: drop the triggers named godwit_fence_${key} and godwit_fence_truncate_${key}, then the functions ` +
    `of schema godwit that carry ${key} in their names. Only while the target takes no writes`,
  undoPublication: ({ key }) => `on both sides: drop publication if exists godwit_${key}`,
  undoInitialSync: ({ key }) =>
    `on the side that has the subscription godwit_${key}_…: alter subscription … disable; alter subscription … set ` +
    `(slot_name = none); drop subscription …; on the other side: select pg_drop_replication_slot(…) for the slot of the same name. ` +
    `An abandoned slot fills the disk with WAL`,
  undoSwitch: ({ migration, database }) =>
    `the writes of ${database.name} may still be on the target, and its other steps were left as they are. Mend the cause, ` +
    `then \`godwit abort ${migration}\` tries everything again`,
};

const GENERAL = 'mend the cause, then abort the migration again: every undo finds out what is left to do';

export function byHand(activity: string, input: unknown): string {
  if (isDatabaseUndo(activity) && isMove(input)) return `${BY_HAND[activity](input)}; or ${GENERAL}`;
  if (isCertificateUndo(activity) && isRequest(input)) return `${CERTIFICATE_BY_HAND[activity](input)}; or ${GENERAL}`;
  if (isTrafficInput(input)) return `${trafficByHand(input)}; or ${GENERAL}`;
  return GENERAL;
}

/** Tagged with the token of its request. */
const CERTIFICATE_BY_HAND: Record<CertificateUndo, (request: CertificateMove & { records?: unknown }) => string> = {
  undoServing: ({ move, token }) =>
    `aws elbv2 remove-listener-certificates --listener-arn ${listenerOf(move)}, with the ARN of the certificate whose tag godwit:request is ${token}`,
  undoValidation: ({ move: { migration } }) =>
    `delete the CNAME records that \`godwit status ${migration} -o json\` lists under undoLog, input.records, unless another certificate of this account has the same names`,
  undoCertificate: ({ token }) =>
    `aws acm delete-certificate for the one whose tag godwit:request is ${token}, once nothing uses it`,
};

function listenerOf({ traffic: { route } }: TrafficMove): string {
  return route.kind === 'alb' ? (route.certificate?.listener ?? route.listener) : '';
}

/** The before-image itself is in the undo log, as the API takes it back. */
function trafficByHand({ move: { migration, traffic } }: TrafficUndoInput): string {
  const { route } = traffic;
  const place =
    route.kind === 'alb'
      ? `the actions of ${route.rules?.join(', ') ?? route.listener}`
      : `the ${route.type} records of ${route.recordName} in zone ${route.zone}`;
  return `put ${place} back as \`godwit status ${migration} -o json\` shows them under undoLog, input.image`;
}

function isDatabaseUndo(name: string): name is DatabaseUndo {
  return Object.hasOwn(BY_HAND, name);
}

function isMove(input: unknown): input is DatabaseMove {
  return typeof input === 'object' && input !== null && 'key' in input && 'migration' in input && 'database' in input;
}

function isCertificateUndo(name: string): name is CertificateUndo {
  return Object.hasOwn(CERTIFICATE_BY_HAND, name);
}

function isRequest(input: unknown): input is CertificateMove {
  return typeof input === 'object' && input !== null && 'move' in input && 'token' in input;
}

interface TrafficUndoInput {
  move: TrafficMove;
  image: TrafficImage;
}

function isTrafficInput(input: unknown): input is TrafficUndoInput {
  return typeof input === 'object' && input !== null && 'move' in input && 'image' in input;
}

/** By the settings of now: a switch whose pause was set to 1 ms for a while could never be undone by those it began with. */
export function inputOfNow({ unit, input }: UndoEntry, normal: NormalMigration | null): unknown {
  const database = normal?.databases.find((one) => one.unit === unit);
  return database !== undefined && isMove(input) ? { ...input, database } : input;
}
