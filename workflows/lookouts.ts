/** One lookout for each database that is prepared and not yet switched. They end with the run, and the next one starts anew. */
import { CancellationScope, startChild, workflowInfo, type ChildWorkflowHandle } from '@temporalio/workflow';
import { lookout } from './lookout.js';
import { lookSignal } from './lookout-messages.js';
import type { UnitProgress } from './state.js';
import { moveOfUnit, type Trip } from './trip.js';

interface Post {
  scope: CancellationScope;
  handle: Promise<ChildWorkflowHandle<typeof lookout>>;
}

export class Lookouts {
  readonly #posts = new Map<string, Post>();

  constructor(readonly trip: Trip) {
    trip.control.lookouts = (unit, remedy) => this.#ask(unit, remedy);
  }

  /** Fine when there is one already. It is never waited for, and whatever becomes of it fails nothing. */
  post(unit: UnitProgress): void {
    if (this.#posts.has(unit.unit)) return;
    unit.children += 1;
    const input = { move: moveOfUnit(this.trip, unit), parent: workflowInfo().workflowId };
    const workflowId = `${workflowInfo().workflowId}/${unit.unit}/${lookout.name}/${unit.children}`;
    const scope = new CancellationScope({ cancellable: true });
    const handle = scope.run(() => startChild(lookout, { workflowId, args: [input] }));
    this.#posts.set(unit.unit, { scope, handle });
    scope.run(async () => (await handle).result()).catch(() => undefined);
  }

  /** The switch has been made: from now on the watch looks. */
  recall(unit: UnitProgress): void {
    this.#end(unit);
    Object.assign(unit, { alarm: null, warnings: [] });
  }

  /** What they have found stays known: they are about to be posted anew, or all is undone. */
  endAll(): void {
    for (const unit of this.trip.state.units) this.#end(unit);
  }

  #end(unit: UnitProgress): void {
    this.#posts.get(unit.unit)?.scope.cancel();
    this.#posts.delete(unit.unit);
  }

  #ask(unit: UnitProgress, remedy: boolean): void {
    const post = this.#posts.get(unit.unit);
    const move = moveOfUnit(this.trip, unit);
    // One that has just ended can't be told any more, and needn't.
    const send = (handle: ChildWorkflowHandle<typeof lookout>): Promise<void> =>
      CancellationScope.nonCancellable(() => handle.signal(lookSignal, { move, remedy }));
    void post?.handle.then(send).catch(() => undefined);
  }
}
