/** Whose an access key is: twelve digits are an account, a key of an assumed role belongs to the role's account. */
import { AwsError, type Answer } from './answer.js';
import { DEFAULT_ACCOUNT, type Call } from './call.js';
import { textOf } from './tree.js';
import type { Upstream } from './upstream.js';

const ROLE = /^arn:aws:iam::(?<account>\d{12}):role\/(?:.*\/)?(?<name>[^/]+)$/;

export class StsService {
  readonly #sessions = new Map<string, string>();

  constructor(readonly upstream: Upstream) {}

  accountOf(accessKey: string): string {
    return /^\d{12}$/.test(accessKey) ? accessKey : (this.#sessions.get(accessKey) ?? DEFAULT_ACCOUNT);
  }

  /** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: a role that isn't there is a refusal. */
  async answer(call: Call): Promise<Answer> {
    if (call.operation !== 'AssumeRole') return this.upstream.pass(call);
    const arn = textOf(call.parameters['RoleArn']) ?? '';
    const { account, name } = ROLE.exec(arn)?.groups ?? {};
    const role = account === undefined ? null : await this.#role(account, name ?? '');
    if (account === undefined || role === null) {
      const caller = `arn:aws:iam::${call.account}:root`;
      const message = `User: ${caller} is not authorized to perform: sts:AssumeRole on resource: ${arn}`;
      throw new AwsError('AccessDenied', message, 403);
    }
    const answer = await this.upstream.pass(call);
    const key = /<AccessKeyId>([^<]+)</.exec(answer.body.toString('utf8'))?.[1];
    if (key !== undefined) this.#sessions.set(key, account);
    return answer;
  }

  reset(): void {
    this.#sessions.clear();
  }

  async #role(account: string, name: string): Promise<unknown> {
    try {
      return await this.upstream.query({ account, region: 'us-east-1' }, 'iam', 'GetRole', { RoleName: name });
    } catch (error) {
      if (error instanceof AwsError) return null;
      throw error;
    }
  }
}
