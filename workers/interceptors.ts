/** What surrounds every activity: it is kept alive, measured, and its errors are scrubbed. One place for all of them. */
import type { Context } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { heartbeat } from '../activities/activity-context.js';
import type { Metrics } from './metrics.js';
import { outcomeOf } from './scrub.js';

/**
 * A worker that died is noticed by the silence, 2 s in the switch, so this speaks often; Temporal gets every one of them
 * (HEARTBEAT_THROTTLE_MS). An activity that hangs is ended by its start-to-close time-out instead.
 */
export const HEARTBEAT_EVERY_MS = 400;

export function activityInterceptors(metrics: Metrics): ActivityInterceptorsFactory {
  return (context: Context) => ({
    inbound: {
      async execute(input, next) {
        const beat =
          context.info.heartbeatTimeoutMs === undefined ? undefined : setInterval(heartbeat, HEARTBEAT_EVERY_MS);
        const measured = metrics.began(context.info.activityType);
        try {
          const result = await next(input);
          measured.ended('completed', result);
          return result;
        } catch (error) {
          const outcome = outcomeOf(error, context);
          measured.ended(context.cancellationSignal.aborted ? 'cancelled' : 'failed', undefined);
          throw outcome;
        } finally {
          clearInterval(beat);
        }
      },
    },
  });
}
