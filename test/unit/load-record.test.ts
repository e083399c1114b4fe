import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { within } from '../../lab/load/figures.js';
import { outcomeOf } from '../../lab/load/outcome.js';
import { footerLine, headerLine, readRecord, requestLine, type RecordedRequest } from '../../lab/load/record.js';
import { RecentRequests } from '../../lab/load/recent.js';

const REQUEST: RecordedRequest = {
  id: 'abc',
  kind: 'transfer',
  outcome: 'acknowledged',
  startedAt: 1_000_000,
  endedAt: 1_002_000,
  server: '127.0.0.1:5432',
  acceptedAt: 1_001_000,
  error: null,
};

describe('the record of a load', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'godwit-record-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function written(lines: string): Promise<string> {
    const file = join(folder, 'record.jsonl');
    await writeFile(file, lines);
    return file;
  }

  test('is read as it was written', async () => {
    const failed: RecordedRequest = { ...REQUEST, outcome: 'failed', server: null, acceptedAt: null, error: '25006' };
    const lines = [headerLine('beef'), requestLine(REQUEST), requestLine(failed), footerLine(2)];
    expect(await readRecord(await written(`${lines.join('\n')}\n`))).toEqual({
      run: 'beef',
      requests: [REQUEST, failed],
      complete: true,
    });
  });

  test('is known to be incomplete when its process was killed in the middle of a line', async () => {
    const lines = [headerLine('beef'), requestLine(REQUEST), requestLine(REQUEST).slice(0, 20)];
    expect(await readRecord(await written(lines.join('\n')))).toEqual({
      run: 'beef',
      requests: [REQUEST],
      complete: false,
    });
  });

  test('is refused when it is something else', async () => {
    await expect(readRecord(await written('{"hello":1}\n'))).rejects.toThrow();
    await expect(readRecord(await written(''))).rejects.toThrow('no record of a load');
  });
});

describe('the outcome of a request', () => {
  const said = (severity: string, code: string): pg.DatabaseError => {
    const error = new pg.DatabaseError('x', 1, 'error');
    return Object.assign(error, { severity, code });
  };

  test("is failed by the server's word, and unknown when the connection was cut", () => {
    expect(outcomeOf(said('ERROR', '25006'))).toEqual({ outcome: 'failed', code: '25006' });
    expect(outcomeOf(said('FATAL', '57P01')).outcome).toBe('unknown');
    expect(outcomeOf(said('ERROR', '08P01')).outcome).toBe('unknown');
    expect(outcomeOf(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))).toEqual({
      outcome: 'unknown',
      code: 'ECONNRESET',
    });
    expect(outcomeOf(new Error('Connection terminated unexpectedly')).outcome).toBe('unknown');
  });
});

describe('what clients saw in a window', () => {
  test('counts requests that were under way at any moment of it, and the longest time without a write', () => {
    const at = (startedAt: number, endedAt: number, acceptedAt: number | null): RecordedRequest => ({
      ...REQUEST,
      startedAt,
      endedAt,
      acceptedAt,
    });
    const requests = [
      at(0, 5_000, 4_000),
      at(8_000, 52_000, 51_000), // began before the window, held through it
      at(9_000, 12_000, 11_000),
      at(49_000, 50_000, null),
      at(90_000, 95_000, 94_000),
    ];
    expect(within(requests, { from: 10_000, to: 60_000 })).toEqual({
      requests: 3,
      failed: 0,
      unknown: 0,
      worstMs: 44,
      p99Ms: 44,
      writeGapMs: 40,
    });
  });
});

describe('the requests of the last minutes', () => {
  const ended = (endedAt: number) => ({
    startedAt: endedAt - 1,
    endedAt,
    acceptedAt: endedAt % 2 === 0 ? endedAt : null,
    outcome: endedAt % 3 === 0 ? ('failed' as const) : ('acknowledged' as const),
  });

  test('are those that ended since a moment, as they were, the newest first', () => {
    const recent = new RecentRequests(1_000_000);
    for (let at = 1; at <= 150_000; at += 1) recent.add(ended(at));
    expect([...recent.since(149_998)]).toEqual([ended(150_000), ended(149_999), ended(149_998)]);
    expect([...recent.since(0)]).toHaveLength(150_000);
    expect([...recent.since(150_001)]).toEqual([]);
  });

  test('are forgotten once they are too old', () => {
    const recent = new RecentRequests(10_000);
    for (let at = 1; at <= 200_000; at += 1) recent.add(ended(at));
    const kept = [...recent.since(0)];
    expect(kept.length).toBeGreaterThanOrEqual(10_000);
    expect(kept.length).toBeLessThan(140_000);
    expect(kept[0]).toEqual(ended(200_000));
  });
});
