/** `spec.traffic.NAME`: users moved from blue to green in steps, on a load balancer or by weighted records. */
import { z } from 'zod';
import { duration, httpUrl, queueName } from './fields.js';
import { MetricGates } from './gates.js';
import { namedValues } from './metrics.js';
import { parsed, unreadable } from './parsed.js';
import { textField } from './text-field.js';

const SECOND = 1_000;

const ARN = /^arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:\S+$/;

/** An ARN of `service`, whose resource begins with `resource`. */
const arn = (service: string, resource: string, example: string) => {
  const shape = new RegExp(`^arn:[a-z0-9-]+:${service}:[a-z0-9-]*:[0-9]*:${resource}`);
  return textField({
    title: 'ARN',
    read: (text) =>
      ARN.test(text) && shape.test(text)
        ? parsed(text)
        : unreadable(`expected an ARN of ${service}, ${resource}…, such as ${example}`),
    pattern: shape.source,
    examples: [example],
  });
};

const ELB = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012';
export const targetGroupArn = () =>
  arn('elasticloadbalancing', 'targetgroup/', `${ELB}:targetgroup/shop-green/73e2d6bc24d8a067`);
const listenerArn = () =>
  arn('elasticloadbalancing', 'listener/app/', `${ELB}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2`);
const ruleArn = () =>
  arn(
    'elasticloadbalancing',
    'listener-rule/app/',
    `${ELB}:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee`,
  );

const DNS_NAME = /^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9-]{2,63}\.?$/;

const dnsName = () =>
  textField({
    title: 'DNS name',
    read: (text) =>
      DNS_NAME.test(text) && text.length <= 255
        ? parsed(text.toLowerCase().replace(/\.$/, ''))
        : unreadable('expected a whole DNS name, such as shop.example.org'),
    pattern: DNS_NAME.source,
    examples: ['shop.example.org'],
  });

const Alb = z.strictObject({
  listener: listenerArn().describe('The listener whose traffic moves: its default action, unless rules are named.'),
  rules: z
    .array(ruleArn())
    .min(1)
    .optional()
    .describe('Rules of that listener, all of which move together. Default: the default action.'),
  settings: z
    .enum(['compare', 'apply', 'ignore'])
    .prefault('compare')
    .describe(
      "Health check, deregistration delay, slow start, stickiness and algorithm of green's target group. compare: they must be those of blue. apply: they are made so, and put back by an undo. ignore: not looked at.",
    ),
});

const Route53 = z.strictObject({
  zone: z
    .string()
    .regex(/^(\/hostedzone\/)?[A-Z0-9]{1,32}$/, { error: 'expected the id of a hosted zone, such as Z1D633PJN98FT9' })
    .transform((id) => id.replace('/hostedzone/', ''))
    .describe('Id of the hosted zone.'),
  name: dnsName().describe('Name of the records.'),
  type: z.enum(['A', 'AAAA', 'CNAME']).prefault('A').describe('Type of the records.'),
  ttl: duration(SECOND, 24 * 3_600 * SECOND)
    .prefault('60s')
    .describe('Time to live while the traffic moves. What it was before is waited out first, and restored at the end.'),
});

const Alias = z.strictObject({
  dnsName: dnsName().describe('Name of the load balancer or other target, as the API shows it.'),
  zone: z
    .string()
    .regex(/^[A-Z0-9]{1,32}$/, { error: 'expected the hosted zone id of the alias target, such as Z215JYRZR1TBD5' })
    .describe("Hosted zone id of the target; of a load balancer its CanonicalHostedZoneId, not the record's zone."),
  evaluateTargetHealth: z.boolean().prefault(true).describe('Whether unhealthy targets are left out of answers.'),
});

/** `blue` or `green`: which of these belong together, `checks.ts` knows. */
const Member = z.strictObject({
  targetGroup: targetGroupArn().optional().describe('alb: its target group.'),
  values: z
    .array(z.string().min(1).max(255))
    .min(1)
    .max(400)
    .optional()
    .describe('route53: values of its record: addresses, or one name for CNAME.'),
  alias: Alias.optional().describe('route53: what its record is an alias of, instead of values.'),
  setIdentifier: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe('route53: its SetIdentifier. Default: what the record has now, else blue or green.'),
  labels: namedValues()
    .prefault({})
    .describe(
      'Labels that tell its series from those of the other, such as version: v2. CloudWatch knows target groups by itself.',
    ),
});

export const percent = (min: number) =>
  z
    .int({ error: `expected a whole number of percent, ${min} to 100` })
    .min(min)
    .max(100);

export const Step = z.strictObject({
  weight: percent(1).describe('Share of the traffic that green gets, in percent. Each step is above the one before.'),
  hold: duration()
    .prefault('2m')
    .describe('How long the step is judged before the next one. Paused time does not count.'),
  approvals: z
    .int()
    .min(0)
    .max(20)
    .prefault(0)
    .describe('How many different people must approve before this step; the gate is called switch:TYPE/NAME:WEIGHT.'),
  gates: MetricGates.optional().describe(
    'What must hold at this step, in place of the gates of all steps, so that they can tighten.',
  ),
});

interface PresetStep {
  weight: number;
  hold: string;
  gates: z.input<typeof MetricGates>;
}

const errors = (absolute: string): PresetStep['gates'][number] => ({ errorRatio: { absolute } });
const p95 = (absolute: string): PresetStep['gates'][number] => ({ latency: { quantile: 'p95', absolute } });

export const PRESETS: Record<'gradual' | 'quick' | 'canary', PresetStep[]> = {
  gradual: [10, 25, 50, 75, 100].map((weight) => ({ weight, hold: '2m', gates: [errors('1%')] })),
  quick: [
    { weight: 10, hold: '5m', gates: [errors('1%')] },
    { weight: 20, hold: '5m', gates: [errors('1%')] },
    { weight: 50, hold: '10m', gates: [errors('1%')] },
    { weight: 100, hold: '0s', gates: [errors('1%')] },
  ],
  canary: [
    { weight: 5, hold: '15m', gates: [errors('1%'), p95('2s')] },
    { weight: 20, hold: '30m', gates: [errors('0.5%'), p95('1500ms')] },
    { weight: 100, hold: '0s', gates: [errors('0.1%'), p95('1s')] },
  ],
};

const Aws = z
  .strictObject({
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]$/, { error: 'expected a region, such as eu-central-1' })
      .optional()
      .describe("Region of the API. Default: that of the ARN, or the worker's."),
    role: arn('iam', 'role/', 'arn:aws:iam::123456789012:role/godwit')
      .optional()
      .describe("Role to assume. Default: the worker's own credentials, as AWS SDKs find them."),
    endpoint: httpUrl().optional().describe('Another address of the API. Default: AWS_ENDPOINT_URL, else that of AWS.'),
  })
  .prefault({})
  .describe('How the workers reach the API of AWS. Credentials are never in the file.');

export const Traffic = z
  .strictObject({
    dependsOn: z
      .array(z.string())
      .prefault([])
      .describe('Units that switch before this one, written TYPE/NAME, such as database/orders.'),
    alb: Alb.optional().describe('An Application Load Balancer: weights between target groups.'),
    route53: Route53.optional().describe(
      'Weighted records of Route 53: for moves between load balancers, regions or accounts.',
    ),
    blue: Member.optional().describe('Where the traffic goes now. route53: default is the record as it is found.'),
    green: Member.describe('Where it moves to.'),
    aws: Aws,
    preset: z
      .enum(['gradual', 'quick', 'canary'])
      .optional()
      .describe('Steps with names. gradual: 10, 25, 50, 75, 100 %. quick: 10, 20, 50, 100 %. canary: 5, 20, 100 %.'),
    steps: z
      .array(Step)
      .min(1)
      .max(100)
      .optional()
      .describe('The steps, instead of a preset. Default: preset gradual.'),
    gates: MetricGates.prefault([]).describe('What must hold at every step. A failure puts everybody back, or asks.'),
    every: duration(100).prefault('30s').describe('Rhythm of looks while the traffic moves.'),
    stall: duration(SECOND)
      .prefault('30m')
      .describe(
        'Longest time without progress, such as of targets that do not become healthy; then a person is asked.',
      ),
    watch: z
      .strictObject({
        for: duration().prefault('72h').describe('How long the way back stays open after the last step.'),
        every: duration(100).prefault('30s').describe('Rhythm of looks.'),
        onFailure: z
          .enum(['hold', 'undo'])
          .prefault('undo')
          .describe('What a breach does: hold waits for a person, undo moves the traffic back.'),
        gates: MetricGates.prefault([]).describe('What must hold while watching. Default: the gates of all steps.'),
      })
      .prefault({})
      .describe('After the last step.'),
    taskQueue: queueName()
      .optional()
      .describe("Queue of this unit's own, for workers that reach its API. Default: godwit."),
  })
  .meta({ minProperties: 1 })
  .describe('Traffic that moves from blue to green: a unit, written traffic/NAME.');

export type ParsedTraffic = z.output<typeof Traffic>;
export type ParsedStep = z.output<typeof Step>;
