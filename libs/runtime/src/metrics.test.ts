import { describe, expect, it } from 'vitest';
import { MAX_LABEL_VALUES, Metrics } from './metrics.ts';

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

  it('reads one value per label, and drops those that are gone', async () => {
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

  it('bounds the values of a label and sums up the rest', async () => {
    const metrics = new Metrics();
    const many = Object.fromEntries(Array.from({ length: MAX_LABEL_VALUES + 10 }, (_, i) => [`n${i}`, 1]));
    metrics.counter('spanmesh_many_total', 'Many.', () => many, 'name');
    const lines = values(await metrics.text());
    expect(lines.length).toBe(MAX_LABEL_VALUES + 1);
    expect(lines.at(-1)).toBe('spanmesh_many_total{name="other"} 10');
  });

  it('has histograms, and the process on request', async () => {
    const metrics = new Metrics({ processMetrics: true });
    metrics.histogram('spanmesh_wait_seconds', 'Waits.', [0.1, 1]).observe(0.5);
    const text = await metrics.text();
    expect(text).toContain('spanmesh_wait_seconds_bucket{le="1"} 1');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
  });

  it('refuses a name twice', () => {
    const metrics = new Metrics();
    metrics.gauge('spanmesh_x', 'X.', () => 1);
    expect(() => metrics.gauge('spanmesh_x', 'X.', () => 1)).toThrow('already');
  });
});
