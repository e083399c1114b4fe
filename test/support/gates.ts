/** Gates as a file has them, in their normal form. */
import { MetricGate, normalMetricGates, type NormalMetricGate } from '../../spec/gates.js';
import type { NormalProvider } from '../../spec/metrics.js';

export const PROVIDER: NormalProvider = {
  kind: 'prometheus',
  name: 'prom',
  url: 'http://127.0.0.1:9',
  template: 'http',
  labels: {},
  headers: {},
  timeout: 5_000,
};

/** @param written as under `gates` */
export function gateOf(
  written: object,
  change: Partial<NormalMetricGate> = {},
  provider: NormalProvider = PROVIDER,
): NormalMetricGate {
  const [gate] = normalMetricGates([MetricGate.parse(written)], [provider]);
  if (gate === undefined) throw new Error('no gate');
  return { ...gate, ...change } as NormalMetricGate;
}
