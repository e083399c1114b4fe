/**
 * Which rule a request comes under: the first, by priority, all of whose conditions hold. No I/O.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
 */
import { BlockList, isIPv6 } from 'node:net';
import type { RuleCondition } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Action, Redirect, Rule } from './configuration.js';

export interface IncomingRequest {
  method: string;
  /** Path and query, as the request line has them. */
  url: string;
  /** By lower-case name. */
  headers: Record<string, string | string[] | undefined>;
  source: string;
}

/** The last rule is the default one, which has no conditions. */
export function actionFor(rules: Rule[], request: IncomingRequest): Action {
  const rule = rules.find(({ conditions }) => conditions.every((condition) => holds(condition, request)));
  if (rule === undefined) throw new Error('a listener has no default rule');
  return rule.action;
}

function holds(condition: RuleCondition, request: IncomingRequest): boolean {
  const { path, query } = partsOf(request.url);
  switch (condition.Field) {
    case 'host-header': {
      const host = (header(request, 'host')[0] ?? '').replace(/:\d+$/, '');
      return some(condition.HostHeaderConfig?.Values ?? condition.Values, (one) => like(one, host, 'any case'));
    }
    case 'path-pattern':
      return some(condition.PathPatternConfig?.Values ?? condition.Values, (one) => like(one, path, 'this case'));
    case 'http-header': {
      const { HttpHeaderName = '', Values } = condition.HttpHeaderConfig ?? {};
      const values = header(request, HttpHeaderName);
      return some(Values, (one) => values.some((value) => like(one, value, 'any case')));
    }
    case 'http-request-method':
      return some(condition.HttpRequestMethodConfig?.Values, (one) => one === request.method);
    case 'query-string': {
      const pairs = [...new URLSearchParams(query)];
      return some(condition.QueryStringConfig?.Values, ({ Key, Value = '' }) =>
        pairs.some(
          ([key, value]) => (Key === undefined || like(Key, key, 'any case')) && like(Value, value, 'any case'),
        ),
      );
    }
    case 'source-ip':
      return some(condition.SourceIpConfig?.Values, (block) => within(block, request.source));
    default:
      throw new Error(`the edge knows no condition ${condition.Field}`);
  }
}

const some = <T>(values: T[] | undefined, test: (value: T) => boolean): boolean => (values ?? []).some(test);

function header(request: IncomingRequest, name: string): string[] {
  const value = request.headers[name.toLowerCase()];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** `*`: any characters, none too; `?`: exactly one. */
function like(pattern: string, text: string, letters: 'any case' | 'this case'): boolean {
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${expression}$`, letters === 'any case' ? 'is' : 's').test(text);
}

function within(block: string, address: string): boolean {
  const [network = '', bits = ''] = block.split('/');
  const blocks = new BlockList();
  blocks.addSubnet(network, Number(bits), isIPv6(network) ? 'ipv6' : 'ipv4');
  return blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function partsOf(url: string): { path: string; query: string } {
  const at = url.indexOf('?');
  return at < 0 ? { path: url, query: '' } : { path: url.slice(0, at), query: url.slice(at + 1) };
}

/**
 * The `Location` of a redirect.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
 */
export function locationOf(redirect: Redirect, request: IncomingRequest, listener: { protocol: string; port: number }) {
  const { path, query } = partsOf(request.url);
  const [host = ''] = header(request, 'host');
  const known: Record<string, string> = {
    protocol: listener.protocol.toLowerCase(),
    host: host.replace(/:\d+$/, ''),
    port: String(listener.port),
    path: path.replace(/^\//, ''),
    query,
  };
  const fill = (text: string): string => text.replace(/#\{(\w+)\}/g, (whole, name: string) => known[name] ?? whole);
  const protocol = fill(redirect.protocol).toLowerCase();
  const port = fill(redirect.port);
  const usual = port === (protocol === 'https' ? '443' : '80');
  const asked = fill(redirect.query);
  return `${protocol}://${fill(redirect.host)}${usual ? '' : `:${port}`}${fill(redirect.path)}${asked ? `?${asked}` : ''}`;
}
