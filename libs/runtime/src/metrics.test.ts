import { describe, expect, it, vi } from 'vitest';
import { Distribution } from './distribution.ts';
import { Metrics } from './metrics.ts';

// Written once more: a change of them must be noticed.
const MAX_LABEL_VALUES = 64;

const values = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('Metrics', () => {
  it('reads plain fields at every scrape', async () => {
    const metrics = new Metrics();
    const counts = { messages: 0, open: 3 };
    metrics.counter('spanmesh_messages_total', 'Messages.', () => counts.messages);
    metrics.gauge('spanmesh_open', 'Open.', () => counts.open);
    counts.messages = 5;
    expect(values(await metrics.text())).toEqual(['spanmesh_messages_total 5', 'spanmesh_open 3']);
    counts.messages = 7;
    counts.open = 0;
    expect(values(await metrics.text())).toEqual(['spanmesh_messages_total 7', 'spanmesh_open 0']);
  });

  it('reads one value for each label, and drops labels that are gone', async () => {
    const metrics = new Metrics();
    let byDialect: Record<string, number> = { linkid: 1, circuit: 2 };
    metrics.gauge('spanmesh_links', 'Links.', () => byDialect, 'dialect');
    expect(values(await metrics.text())).toEqual([
      'spanmesh_links{dialect="linkid"} 1',
      'spanmesh_links{dialect="circuit"} 2',
    ]);
    byDialect = { circuit: 4 };
    expect(values(await metrics.text())).toEqual(['spanmesh_links{dialect="circuit"} 4']);
  });

  // Limits: runtime/src/metrics.ts MAX_LABEL_VALUES
  it('bounds the values of a label and sums up the rest', async () => {
    const metrics = new Metrics();
    const many = Object.fromEntries(Array.from({ length: MAX_LABEL_VALUES + 10 }, (_, i) => [`n${i}`, 1]));
    metrics.counter('spanmesh_many_total', 'Many.', () => many, 'name');
    const lines = values(await metrics.text());
    expect(lines.length).toBe(MAX_LABEL_VALUES + 1);
    expect(lines.at(-1)).toBe('spanmesh_many_total{name="other"} 10');
  });

  it('has histograms, and metrics of the process on request', async () => {
    const metrics = new Metrics({ processMetrics: true });
    const waits = new Distribution([0.1, 1]);
    metrics.histogram('spanmesh_wait_seconds', 'Waits.', waits);
    waits.observe(0.5);
    const text = await metrics.text();
    expect(text).toContain('spanmesh_wait_seconds_bucket{le="1"} 1');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    const bounds = [...text.matchAll(/^spanmesh_turn_seconds_bucket\{le="([^"]+)"\} /gm)].map(([, bound]) => bound);
    expect(bounds.join(' ')).toBe('0.001 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 5 +Inf');
  });

  it('measures for how long others wait for a turn, in seconds', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const metrics = new Metrics({ processMetrics: true });
      for (const at of [1020, 1540, 1550]) {
        now.mockReturnValue(at);
        vi.advanceTimersByTime(20);
      }
      const lines = values(await metrics.text());
      // In time, 500 ms late, and early, because the one before was late.
      expect(lines).toContain('spanmesh_turn_seconds_sum 0.5');
      expect(lines).toContain('spanmesh_turn_seconds_count 3');
    } finally {
      vi.useRealTimers();
      now.mockRestore();
    }
  });

  it('writes histograms, by a label if there is one', async () => {
    const metrics = new Metrics();
    const reads = new Distribution([0.1, 1]);
    for (const value of [0.05, 0.5, 5]) reads.observe(value);
    metrics.histogram('spanmesh_call_seconds', 'Calls.', () => [['a "b"', reads]], 'method');
    expect(await metrics.text()).toBe(
      [
        '# HELP spanmesh_call_seconds Calls.',
        '# TYPE spanmesh_call_seconds histogram',
        'spanmesh_call_seconds_bucket{method="a \\"b\\"",le="0.1"} 1',
        'spanmesh_call_seconds_bucket{method="a \\"b\\"",le="1"} 2',
        'spanmesh_call_seconds_bucket{method="a \\"b\\"",le="+Inf"} 3',
        'spanmesh_call_seconds_sum{method="a \\"b\\""} 5.55',
        'spanmesh_call_seconds_count{method="a \\"b\\""} 3',
        '',
      ].join('\n'),
    );
  });

  it('has counts by several labels, and metrics whose labels are their content', async () => {
    const metrics = new Metrics();
    const labels = { method: 'Get', code: 'OK' };
    metrics.counters('spanmesh_calls_total', 'Calls.', ['method', 'code'], () => [{ labels, value: 3 }]);
    metrics.info('spanmesh_build_info', 'Build.', { version: '1.2.3' });
    expect(values(await metrics.text())).toEqual([
      'spanmesh_calls_total{method="Get",code="OK"} 3',
      'spanmesh_build_info{version="1.2.3"} 1',
    ]);
  });

  it('refuses a name twice', () => {
    const metrics = new Metrics();
    metrics.gauge('spanmesh_x', 'X.', () => 1);
    expect(() => metrics.gauge('spanmesh_x', 'X.', () => 1)).toThrow('already');
  });
});
