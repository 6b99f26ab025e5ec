import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ALERT_CASES } from './alerts.ts';
import { Rules } from './firing.ts';

const rules = new Rules();
afterAll(() => rules.remove());
const { groups, alerts } = rules;

describe('alerts', () => {
  it('all have a test case', () => {
    expect(Object.keys(ALERT_CASES)).toEqual(alerts);
  });

  it.each(alerts)('%s fires when it should, and not otherwise', (alert) => {
    const { fires, silent } = ALERT_CASES[alert]!;
    expect([rules.isFiring(alert, fires), rules.isFiring(alert, silent)]).toEqual([true, false]);
  });

  it('all have a paragraph in the runbook, which has no others', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/runbook.md'), 'utf8');
    expect([...text.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)).toEqual(alerts);
    const urls = groups.flatMap(({ rules: all }) => all.map(({ annotations }) => annotations?.runbook_url));
    expect(urls).toEqual(alerts.map((alert) => `docs/runbook.md#${alert.toLowerCase()}`));
  });
});
