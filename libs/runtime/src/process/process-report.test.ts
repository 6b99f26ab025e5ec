import { ProcessInfo } from '@spanmesh/proto/v1/process';
import { describe, expect, it } from 'vitest';
import { natsSettings } from '../bus/nats/nats-settings.ts';
import { MAX_RECENT_CHARS, MAX_RECENT_LINES, RecentLines } from '../log/recent-lines.ts';
import { readSettings } from '../settings/setting.ts';
import { processReport } from './process-report.ts';

describe('A report of a process', () => {
  it('shows the settings in force and their sources, and no secret, wherever one occurs', async () => {
    const secrets = { password: 'pw-5e8d1', token: 'tok-77aa3', url: 'nats://nats-3f8e.example:4222' };
    const settings = readSettings(natsSettings, {
      env: { SPANMESH_NATS_PASSWORD: secrets.password, SPANMESH_NATS_URL: secrets.url, SPANMESH_NATS_USER: 'ann' },
      flags: { '--nats-token': secrets.token },
    });
    const report = await processReport({
      info: () => ProcessInfo.fromPartial({ id: 'p-1' }),
      settings,
      metrics: { text: async () => `x{a="${secrets.token}"} 1` },
      logLines: () => [`{"msg":"cannot log in with ${secrets.password}","url":"tls://bob:other-1@h:1"}`],
    });
    const text = JSON.stringify(report);
    for (const secret of [...Object.values(secrets), 'other-1']) expect(text).not.toContain(secret);
    const byName = new Map(report.settings.map((setting) => [setting.name, setting]));
    expect(byName.get('SPANMESH_NATS_USER')).toMatchObject({ value: 'ann', source: 'environment', secret: false });
    expect(byName.get('SPANMESH_NATS_TOKEN')).toMatchObject({ value: '', source: 'flag', secret: true });
    expect(byName.get('SPANMESH_NATS_REPLICAS')).toMatchObject({ source: 'default' });
    expect(report.logLines[0]).toContain('tls://(hidden)@h:1');
    expect(report.unknownSettings).toEqual([]);
  });

  it('names what is no setting, without what it holds', async () => {
    const env = { SPANMESH_NO_SUCH: 'swordfish', SPANMESH_NATS_TOCKEN: 'swordfish' };
    const report = await processReport({
      info: () => ProcessInfo.create(),
      settings: readSettings(natsSettings, { env, flags: {} }),
      metrics: { text: async () => '' },
      logLines: () => [],
    });
    expect(report.unknownSettings).toEqual([
      { name: 'SPANMESH_NATS_TOCKEN', meant: 'SPANMESH_NATS_TOKEN' },
      { name: 'SPANMESH_NO_SUCH', meant: '' },
    ]);
    expect(JSON.stringify(report)).not.toContain('swordfish');
  });
});

// Limits: process/process-report.ts MAX_METRICS_CHARS
it('a report has 256 KiB of metrics at most', async () => {
  const reported = async (chars: number): Promise<number> => {
    const sources = { info: () => ProcessInfo.create(), settings: {}, logLines: () => [] };
    const { metrics } = await processReport({ ...sources, metrics: { text: async () => 'x'.repeat(chars) } });
    return metrics.length;
  };
  expect([await reported(262_144), await reported(262_145)]).toEqual([262_144, 262_144]);
});

describe('The last lines of a log', () => {
  // Limits: log/recent-lines.ts MAX_RECENT_LINES, log/recent-lines.ts MAX_RECENT_CHARS
  it('are limited in number and in size', () => {
    const lines = new RecentLines();
    for (let i = 0; i < 2 * MAX_RECENT_LINES; i++) lines.add(`${i}\n`);
    expect([lines.all.length, lines.all.at(-1)]).toEqual([MAX_RECENT_LINES, String(2 * MAX_RECENT_LINES - 1)]);
    for (let i = 0; i < 100; i++) lines.add('x'.repeat(1_000_000));
    expect(lines.all.join('').length).toBeLessThanOrEqual(MAX_RECENT_CHARS);
  });
});

// Limits: log/recent-lines.ts MAX_LINE_CHARS
it('a line is kept whole up to 8 KiB, and its beginning beyond', () => {
  const lines = new RecentLines();
  lines.add(`${'x'.repeat(8192)}\n`);
  lines.add('y'.repeat(8193));
  expect(lines.all.map((line) => line.length)).toEqual([8192, 8192]);
});
