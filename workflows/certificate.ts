/**
 * A certificate for the names of one unit of traffic: requested, validated by DNS records, waited for, and given to the
 * listener beside its default one. Part of a migration's prepare; or started alone, and then it undoes itself when it fails.
 */
import { uuid4 } from '@temporalio/workflow';
import type { CertificateRef, TrafficMove } from '../activities/traffic-contract.js';
import type { Milliseconds } from '../spec/normal.js';
import type { NormalCertificate } from '../spec/normal-traffic.js';
import type { ServerCertificate } from '../spec/status.js';
import { invalid, trafficMoveOf, unitPhase, type AloneInput } from './phase.js';
import { ofCertificate, type Saga } from './saga.js';
import { activities, progressOf, type Wheel } from './traffic.js';
import { failed } from './trip.js';

/** Looks at one that isn't issued get rarer until then: most are issued within minutes, and some take hours. */
const LONGEST_PAUSE: Milliseconds = 5 * 60_000;
const GROWTH = 1.5;

/** Input: the document, or `{document, unit?, migration?}`. */
export async function certificate(input: AloneInput): Promise<ServerCertificate> {
  return unitPhase(input, { type: 'traffic', stage: 'prepare' }, async ({ control, unit, normal, saga }) => {
    const wheel: Wheel = {
      control,
      unit,
      move: (): TrafficMove => trafficMoveOf(control.state.migration, normal(), unit.unit),
      tell: () => Promise.resolve(control.touched()),
    };
    if (saga === null) throw failed('Unexpected', 'a migration sees to its certificates itself');
    return haveCertificate(wheel, saga);
  });
}

/** Null: the unit asks for none. */
export function certificateOf({ move }: Wheel): NormalCertificate | null {
  const { route } = move().traffic;
  return (route.kind === 'alb' ? route.certificate : undefined) ?? null;
}

/** Begins anew after a failure, and finds what is there: a certificate that has failed is replaced by another. */
export async function haveCertificate(wheel: Wheel, saga: Saga): Promise<ServerCertificate> {
  const { control, move, unit } = wheel;
  const wanted = certificateOf(wheel);
  if (wanted === null) throw invalid(`${unit.unit} asks for no certificate: expected alb.certificate`);
  const progress = progressOf(wheel);
  progress.request ??= { token: uuid4(), records: null };
  const { request } = progress;
  const { token } = request;

  note(wheel, { names: wanted.names, arn: null, state: 'requested', notAfter: null });
  saga.record(ofCertificate({ move: move(), token }), 'requestCertificate');
  const { arn } = await control.step(() => activities(wheel).requestCertificate({ move: move(), token }));
  note(wheel, { names: wanted.names, arn, state: 'pending', notAfter: null });
  const ref = (): CertificateRef => ({ move: move(), token, arn });

  const records = await control.step(() => activities(wheel).readValidation({ ...ref(), known: request.records }));
  request.records = records;
  saga.record(ofCertificate({ move: move(), token, records }), 'writeValidation');
  await control.step(() => activities(wheel).writeValidation({ ...ref(), records }));

  const notAfter = await issued(wheel, ref, wanted.stall);
  note(wheel, { names: wanted.names, arn, state: 'issued', notAfter });

  saga.record(ofCertificate({ move: move(), token }), 'serveCertificate');
  await control.step(() => activities(wheel).serveCertificate(ref()));
  return note(wheel, { names: wanted.names, arn, state: 'served', notAfter });
}

/** Answers when it ends. */
async function issued(wheel: Wheel, ref: () => CertificateRef, stall: Milliseconds): Promise<string | null> {
  const { control, move, unit } = wheel;
  const { every } = move().traffic;
  let pause = every;
  for (
    let waited = 0;
    ;
    waited += pause, pause = Math.max(every, Math.min(Math.round(pause * GROWTH), LONGEST_PAUSE))
  ) {
    const look = await control.step(() => activities(wheel).lookAtCertificate(ref()));
    unit.note = look.issued ? null : `waits for its certificate: ${look.explanation}`;
    if (look.issued) return look.notAfter;
    if (waited >= stall)
      throw failed('Blocked', `the certificate was not issued for ${waited / 1_000} s: ${look.explanation}`);
    const next = pause;
    await control.sleep(() => next);
  }
}

function note(wheel: Wheel, certificate: ServerCertificate): ServerCertificate {
  progressOf(wheel).certificate = certificate;
  wheel.control.touched();
  return certificate;
}
