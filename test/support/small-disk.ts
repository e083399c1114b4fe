/** A file system of a few megabytes under a tablespace: real `No space left on device`. Needs root, as mounts do. */
import { execFile } from 'node:child_process';
import { chown, mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../lab/postgres.js';
import { unprivilegedUser } from '../../lab/user.js';

const execute = promisify(execFile);

export class SmallDisk {
  private constructor(
    readonly server: PostgresServer,
    readonly tablespace: string,
    readonly folder: string,
  ) {}

  /** @param size such as 24m, for the options of tmpfs */
  static async mount(server: PostgresServer, tablespace: string, folder: string, size: string): Promise<SmallDisk> {
    await mkdir(folder);
    await execute('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
    const user = await unprivilegedUser();
    if (user) await chown(folder, user.uid, user.gid);
    await server.query(`create tablespace ${tablespace} location '${folder}'`);
    return new SmallDisk(server, tablespace, folder);
  }

  async grow(): Promise<void> {
    await execute('mount', ['-o', 'remount,size=200m', this.folder]);
  }

  /** With this database, which lies on it. */
  async remove(database: string): Promise<void> {
    // A test that failed has left more, and the tests after it would fail for want of space.
    await this.grow();
    const left = await this.server.query<{ name: string }>(
      `select subname as name from pg_subscription where subdbid = (select oid from pg_database where datname = $1)`,
      [database],
    );
    for (const subscription of left) {
      for (const change of ['disable', 'set (slot_name = none)']) {
        await this.server.query(`alter subscription ${subscription.name} ${change}`, [], database);
      }
      await this.server.query(`drop subscription ${subscription.name}`, [], database);
    }
    await this.server.query(`drop database ${database} with (force)`);
    await this.server.query(`drop tablespace ${this.tablespace}`);
    await execute('umount', ['--lazy', this.folder]);
  }
}
