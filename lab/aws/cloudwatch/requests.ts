/** What may be asked of CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html */
import { z } from 'zod';
import { AwsError } from '../answer.js';
import type { Branch } from '../tree.js';

const MOST_DIMENSIONS = 30;
const MOST_DATA = 1_000;
const MOST_VALUES = 150;
const MOST_QUERIES = 500;

/** Seconds since the epoch. */
const time = z.number().transform((seconds) => Math.round(seconds * 1_000));
const dimensions = z
  .array(z.object({ Name: z.string().min(1), Value: z.string().min(1) }))
  .max(MOST_DIMENSIONS)
  .default([]);
const namespace = z.string().regex(/^[^:].*/, 'must not begin with a colon');

const datum = z
  .object({
    MetricName: z.string().min(1),
    Dimensions: dimensions,
    Timestamp: time.optional(),
    Unit: z.string().default('None'),
    Value: z.number().optional(),
    Values: z.array(z.number()).max(MOST_VALUES).optional(),
    Counts: z.array(z.number().nonnegative()).max(MOST_VALUES).optional(),
    StatisticValues: z
      .object({ SampleCount: z.number().positive(), Sum: z.number(), Minimum: z.number(), Maximum: z.number() })
      .optional(),
  })
  .refine(
    (one) => [one.Value, one.Values, one.StatisticValues].filter((given) => given !== undefined).length === 1,
    'exactly one of Value, Values and StatisticValues must be given',
  )
  .refine(
    (one) => one.Counts === undefined || one.Counts.length === one.Values?.length,
    'Values and Counts must have the same length',
  );

const put = z.object({ Namespace: namespace, MetricData: z.array(datum).max(MOST_DATA).default([]) });

const query = z.object({
  Id: z.string().regex(/^[a-z]\w*$/, 'must begin with a lower-case letter'),
  Label: z.string().optional(),
  ReturnData: z.boolean().default(true),
  MetricStat: z.object({
    Metric: z.object({ Namespace: namespace, MetricName: z.string(), Dimensions: dimensions }),
    Period: z
      .number()
      .refine((seconds) => [1, 5, 10, 20, 30].includes(seconds) || (seconds > 0 && seconds % 60 === 0), {
        message: 'must be 1, 5, 10, 30 or a multiple of 60',
      }),
    Stat: z.string(),
    Unit: z.string().optional(),
  }),
});

const get = z
  .object({
    StartTime: time,
    EndTime: time,
    MetricDataQueries: z.array(query).min(1).max(MOST_QUERIES),
    ScanBy: z.enum(['TimestampAscending', 'TimestampDescending']).default('TimestampDescending'),
    MaxDatapoints: z.number().int().min(1).max(100_800).default(100_800),
    NextToken: z.string().optional(),
  })
  .refine((one) => one.StartTime < one.EndTime, 'the parameter StartTime must be less than the parameter EndTime')
  .refine(
    (one) => new Set(one.MetricDataQueries.map(({ Id }) => Id)).size === one.MetricDataQueries.length,
    'the Ids of the queries must be unique',
  );

export type PutRequest = z.output<typeof put>;
export type GetRequest = z.output<typeof get>;
export type MetricQuery = GetRequest['MetricDataQueries'][number];

export const parsePut = (parameters: Branch): PutRequest => parsed(put, parameters, 'InvalidParameterValueException');
export const parseGet = (parameters: Branch): GetRequest => parsed(get, parameters, 'ValidationError');

function parsed<T>(schema: z.ZodType<T>, parameters: Branch, code: string): T {
  const result = schema.safeParse(parameters);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where =
    issue === undefined || issue.path.length === 0 ? 'The request' : `The parameter ${issue.path.join('.')}`;
  throw new AwsError(code, `${where} is not valid: ${issue?.message ?? ''}`);
}
