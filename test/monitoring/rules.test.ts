import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { render } from '../deploy/kustomize.ts';
import { ALERT_CASES, type Series } from './alerts.ts';
import { promtool } from './promtool.ts';

const directory = mkdtempSync(join(tmpdir(), 'spanmesh-rules-'));
afterAll(() => rmSync(directory, { recursive: true }));

const groups = render('production', ['monitoring']).flatMap(({ spec }) => spec?.groups ?? []);
const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
// JSON is YAML.
writeFileSync(join(directory, 'rules.json'), JSON.stringify({ groups }));

/** What promtool says of an alert at the end of two hours: is it firing? */
function isFiring(alert: string, input: readonly Series[]): boolean {
  const expr = `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`;
  const answers = [0, 1].map((value) => {
    const test = {
      interval: '1m',
      input_series: input,
      promql_expr_test: [{ expr, eval_time: '2h', exp_samples: [{ labels: '{}', value }] }],
    };
    const file = join(directory, 'test.json');
    const suite = { rule_files: ['rules.json'], evaluation_interval: '1m', tests: [test] };
    writeFileSync(file, JSON.stringify(suite));
    return promtool(['test', 'rules', file]) === '';
  });
  // Exactly one of them is true, unless the test itself is wrong.
  expect(answers[0], alert).not.toBe(answers[1]);
  return answers[1]!;
}

describe('alerts', () => {
  it('all have a case', () => {
    expect(Object.keys(ALERT_CASES)).toEqual(alerts);
  });

  it.each(alerts)('%s fires when it should, and is silent otherwise', (alert) => {
    const { fires, silent } = ALERT_CASES[alert]!;
    expect([isFiring(alert, fires), isFiring(alert, silent)]).toEqual([true, false]);
  });

  it('all have a paragraph in the runbook, and nothing else has', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/runbook.md'), 'utf8');
    expect([...text.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)).toEqual(alerts);
    const urls = groups.flatMap(({ rules }) => rules.map(({ annotations }) => annotations?.runbook_url));
    expect(urls).toEqual(alerts.map((alert) => `docs/runbook.md#${alert.toLowerCase()}`));
  });
});
