import { chmod, lstat, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parametersOf, readEntry, withParameters, writeEntry } from '../../activities/pgbouncer/config-file.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-config-'));
  file = join(folder, 'pgbouncer.ini');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const key = fc.constantFrom('host', 'port', 'dbname', 'user', 'password', 'pool_size', 'connect_query', 'auth_user');
const value = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n\0]/.test(text));
const parameters = fc.dictionary(key, value);
const asEntry = (pairs: Record<string, string>): string => withParameters('app =', pairs);

describe('the parameters of an entry', () => {
  test('are read as they were written, whatever their values hold', () => {
    fc.assert(
      fc.property(parameters, (pairs) => {
        expect(parametersOf(asEntry(pairs))).toEqual({ ...pairs });
      }),
    );
  });

  test('that are not replaced keep their values, and those replaced have the new ones', () => {
    fc.assert(
      fc.property(parameters, parameters, (before, change) => {
        expect(parametersOf(withParameters(asEntry(before), change))).toEqual({ ...before, ...change });
      }),
    );
  });

  test('stay the same entry when they are replaced twice', () => {
    fc.assert(
      fc.property(parameters, parameters, (before, change) => {
        const once = withParameters(asEntry(before), change);
        expect(withParameters(once, change)).toBe(once);
      }),
    );
  });

  test.each([
    ['app = host=10.0.0.1 port=5432 dbname=app', { host: '10.0.0.1', port: '5432', dbname: 'app' }],
    [`app=host = 10.0.0.1   dbname='it''s mine'`, { host: '10.0.0.1', dbname: `it's mine` }],
    [`"app" =\tport=6000\tpassword='a=b c'`, { port: '6000', password: 'a=b c' }],
    [
      `app = connect_query='set role = x; select ''host=nowhere'''`,
      { connect_query: `set role = x; select 'host=nowhere'` },
    ],
    ['app = password=a=b', { password: 'a=b' }],
    ['app = password=voilà user=ème', { password: 'voilà', user: 'ème' }],
    ['app =', {}],
  ])('are found in %s', (line, expected) => {
    // Lines of the file are bytes, a character each.
    expect(parametersOf(Buffer.from(line).toString('latin1'))).toEqual(expected);
  });

  test('leave the name of the entry as it stands', () => {
    expect(withParameters('  "my ""app"""   = host=a', { host: 'b' })).toBe('  "my ""app"""   = host=b');
    expect(withParameters('* = host=a', { port: '1' })).toBe('* = host=a port=1');
  });
});

describe('an entry in the file', () => {
  const junk = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10 && byte !== 13)));
  const comment = junk.map((bytes) => Buffer.concat([Buffer.from('; '), bytes]));
  const otherEntry = fc.nat().map((n) => Buffer.from(`other${n} = host=10.1.1.1 port=${n}`));
  const lines = fc.array(fc.oneof(comment, otherEntry, fc.constant(Buffer.alloc(0))), { maxLength: 8 });
  const ending = fc.constantFrom('\n', '\r\n');

  test('is replaced and restored byte for byte, and no other byte changes: comments of any encoding, either line end', async () => {
    await fc.assert(
      fc.asyncProperty(lines, lines, ending, parameters, async (above, below, end, pairs) => {
        const entry = Buffer.from('app = host=127.0.0.1 port=5432 dbname=app');
        const join = (middle: Buffer): Buffer =>
          Buffer.concat(
            [
              Buffer.from('[databases]'),
              ...above,
              middle,
              ...below,
              Buffer.from('[pgbouncer]'),
              Buffer.from('pool_mode = transaction'),
            ].flatMap((line) => [line, Buffer.from(end)]),
          );
        const original = join(entry);
        await writeFile(file, original);
        const image = await readEntry(file, 'app');
        const moved = withParameters(image, pairs);
        await writeEntry(file, 'app', moved);
        expect(parametersOf(await readEntry(file, 'app'))).toMatchObject({ ...pairs });
        const kept = end === '\r\n' && moved.endsWith('\r') ? moved.slice(0, -1) : moved;
        const changed = await readFile(file);
        expect(changed.subarray(0, original.indexOf(entry))).toEqual(original.subarray(0, original.indexOf(entry)));
        expect(changed.toString('latin1')).toContain(kept);
        await writeEntry(file, 'app', image);
        expect(await readFile(file)).toEqual(original);
      }),
      { numRuns: 60 },
    );
  });

  test('is the one of [databases], not a comment, another section, or one whose name only begins alike', async () => {
    const text = [
      '[pgbouncer]',
      'app = host=wrong',
      '[databases]',
      ';app = host=wrong',
      '# app = host=wrong',
      'app2 = host=wrong',
      'my app = host=wrong',
      '  app= host=right',
      '[users]',
      'app = pool_mode=session',
    ].join('\n');
    await writeFile(file, text);
    expect(await readEntry(file, 'app')).toBe('  app= host=right');
    await writeEntry(file, 'app', 'app = host=moved');
    expect(await readFile(file, 'utf8')).toBe(text.replace('  app= host=right', 'app = host=moved'));
  });

  test.each(['app', 'my app', 'voilà', 'it"s', '*', 'données', 'a=b'])('is found under the name %s', async (name) => {
    await writeFile(file, `[databases]\n${name === '*' ? '*' : `"${name.replaceAll('"', '""')}"`} = host=here\n`);
    expect(parametersOf(await readEntry(file, name))).toEqual({ host: 'here' });
  });

  test('that is missing, or a file that is, fails with what to do', async () => {
    await expect(readEntry(file, 'app')).rejects.toMatchObject({
      type: 'EndpointFailed',
      message: expect.stringContaining('ENOENT') as string,
    });
    await writeFile(file, '[databases]\nother = host=a\n');
    for (const work of [() => readEntry(file, 'app'), () => writeEntry(file, 'app', 'app = host=b')]) {
      await expect(work()).rejects.toMatchObject({
        type: 'EndpointFailed',
        message: expect.stringContaining('has no entry app') as string,
      });
    }
    expect(await readFile(file, 'utf8')).toBe('[databases]\nother = host=a\n');
  });

  test('is replaced in place: mode kept, links kept, nothing left beside it', async () => {
    const link = join(folder, 'link.ini');
    await writeFile(file, '[databases]\napp = host=a\n');
    await chmod(file, 0o640);
    await symlink(file, link);
    await writeEntry(link, 'app', 'app = host=b');
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readFile(file, 'utf8')).toBe('[databases]\napp = host=b\n');
    expect((await stat(file)).mode & 0o777).toBe(0o640);
    expect((await readdir(folder)).sort()).toEqual(['link.ini', 'pgbouncer.ini']);
  });
});
