import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { prometheusRule, withRunbook } from '../../deploy/monitoring/prometheus-rule.ts';
import { metricsTexts } from '../docs/tables.ts';
import { promtool } from './promtool.ts';

const MONITORING = join(import.meta.dirname, '../../deploy/monitoring');
const read = (name: string): string => readFileSync(join(MONITORING, name), 'utf8');

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string }[];
}

const { panels, templating } = JSON.parse(read('dashboard.json')) as {
  panels: Panel[];
  templating: { list: { name: string; query: string }[] };
};

/** The names of metrics in an expression. */
const namesIn = (text: string): string[] => text.match(/\bspanmesh_[a-z_]+/g) ?? [];

let exported: ReadonlySet<string>;
beforeAll(async () => {
  const texts = (await metricsTexts()).map(([, text]) => text).join('\n');
  const types = [...texts.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type }));
  exported = new Set(types.flatMap(({ name, type }) => (type === 'histogram' ? [`${name}_bucket`] : [name])));
});

describe('the dashboard', () => {
  it('has panels with different titles and places, each with an expression', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
    for (const { title, targets } of panels)
      for (const { expr } of targets) expect(namesIn(expr), title).not.toEqual([]);
  });

  it('uses existing metrics, in expressions that Prometheus accepts', () => {
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    const queries = templating.list.map(({ query }) => query);
    expect([...expressions, ...queries].flatMap(namesIn).filter((name) => !exported.has(name))).toEqual([]);
    const rules = expressions.map((expr, i) => ({ record: `panel:${i}`, expr: expr.replaceAll('$namespace', 'x') }));
    const directory = mkdtempSync(join(tmpdir(), 'spanmesh-dashboard-'));
    try {
      // Written as JSON, which is YAML, too.
      const file = join(directory, 'rules.json');
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
      expect(promtool(['check', 'rules', file])).toBe('');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('the rules', () => {
  const rules = read('rules.yaml');

  it('use existing metrics', () => {
    const expressions = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, expr]) => expr!);
    expect(expressions.length).toBeGreaterThan(0);
    expect(expressions.flatMap(namesIn).filter((name) => !exported.has(name))).toEqual([]);
  });

  it('link to the runbook, wherever it is published', () => {
    const moved = withRunbook(rules, 'https://example.org/runbook');
    expect(moved).toContain('runbook_url: https://example.org/runbook#spanmeshnobodyleads');
    expect(moved).not.toContain('docs/runbook.md#');
    expect(prometheusRule(moved)).toContain(
      '\n            runbook_url: https://example.org/runbook#spanmeshnobodyleads\n',
    );
  });
});
