/** For commands that read the databases of a reconciliation themselves: rows never travel through Temporal. */
import { ApplicationFailure } from '@temporalio/common';
import { CliError } from './errors.js';

/** Whatever the databases refuse becomes a sentence with a next step. */
export async function readingDatabases<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    throw new CliError(error.message, { next: ofTheReader(error) ? NEXT : [], cause: error });
  }
}

/** Where the wish itself is wrong, another place to run the command is no help. */
const ofTheReader = ({ type }: ApplicationFailure): boolean => type !== 'InvalidSpec';

const NEXT = [
  'this command reads the databases itself: run it where they can be reached, with the same secrets as a worker',
];
