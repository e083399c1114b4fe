/** AWS for a test file: a strict proxy of its own in front of the run's moto, and accounts that nobody else has. */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { motoAnswers } from '../../lab/aws/moto.js';
import { AwsProxy } from '../../lab/aws/proxy.js';
import type { SettingsChange } from '../../lab/aws/settings.js';

/** It takes 2.5 s to start, and much more while all else starts, too. */
const MOTO_READY_MS = 120_000;

/** Every test file starts one; stop it in `afterAll`. */
export async function startAws(settings: SettingsChange = {}): Promise<AwsProxy> {
  const moto = inject('motoUrl');
  const deadline = Date.now() + MOTO_READY_MS;
  while (!(await motoAnswers(moto).catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`moto did not answer at ${moto} within ${MOTO_READY_MS} ms`);
    await sleep(50);
  }
  return AwsProxy.start({ moto, settings });
}

/** An account as new, which is what keeps tests apart: moto is shared, and never reset. */
export const newAccount = (): string => String(randomInt(1e11, 1e12 - 1)).padStart(12, '1');

/** Retries would hide what the stand-in answers to one call. */
export const ONCE = { maxAttempts: 1 };
