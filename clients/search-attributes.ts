/** Search attributes of a namespace: how `godwit list` finds migrations by state. */
import { isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';

export interface Registration {
  name: string;
  was: 'new' | 'registered';
}

const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

/** Idempotent: registers what is missing. Fails when one is there with another type, since that can't be changed. */
export async function registerSearchAttributes(temporal: Temporal, names: string[]): Promise<Registration[]> {
  const { operatorService } = temporal.connection;
  const { namespace } = temporal;
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const wrong = names.filter((name) => customAttributes[name] !== undefined && customAttributes[name] !== KEYWORD);
  if (wrong.length > 0) {
    throw new CliError(`search attribute ${wrong.join(' and ')} exists with another type than Keyword.`, {
      next: [`remove it first: temporal operator search-attribute remove --name ${wrong.join(' --name ')}`],
    });
  }
  const missing = names.filter((name) => customAttributes[name] === undefined);
  if (missing.length > 0) {
    try {
      const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
      await operatorService.addSearchAttributes({ namespace, searchAttributes });
    } catch (error) {
      throw refused(error, missing);
    }
  }
  return names.map((name) => ({ name, was: missing.includes(name) ? 'new' : 'registered' }));
}

/** Temporal Cloud has its own way to register them. */
function refused(error: unknown, names: string[]): CliError {
  const said = isGrpcServiceError(error) ? error.details : String(error);
  return new CliError(`can't register the search attributes: ${said}`, {
    next: [`in Temporal Cloud, add ${names.join(' and ')} as Keyword in the namespace's settings, or with tcld`],
    cause: error,
  });
}
