import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { render } from '../deploy/kustomize.ts';
import type { Series } from './alerts.ts';
import { promtool } from './promtool.ts';

/** The alert rules as the manifests install them. */
export class Rules {
  readonly groups = render('production', ['monitoring']).flatMap(({ spec }) => spec?.groups ?? []);
  readonly alerts = this.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  readonly #directory = mkdtempSync(join(tmpdir(), 'spanmesh-rules-'));

  constructor() {
    // Written as JSON, which is YAML, too.
    writeFileSync(join(this.#directory, 'rules.json'), JSON.stringify({ groups: this.groups }));
  }

  /** Whether an alert fires at the end of two hours, according to promtool. */
  isFiring(alert: string, input: readonly Series[]): boolean {
    const firing = `ALERTS{alertname="${alert}",alertstate="firing"}`;
    const [silent, fires] = [this.#isCounted(firing, 0, input), this.#isCounted(firing, 1, input)];
    // One of the two must be true, unless the test itself is wrong.
    if (silent === fires) throw new Error(`promtool does not say whether ${alert} fires`);
    return fires;
  }

  /** The alerts that fire at the end of two hours. */
  firing(input: readonly Series[]): string[] {
    // Usually none fires, which takes one run of promtool to find out.
    if (this.#isCounted('ALERTS{alertstate="firing"}', 0, input)) return [];
    return this.alerts.filter((alert) => this.isFiring(alert, input));
  }

  #isCounted(series: string, value: number, input: readonly Series[]): boolean {
    const expr = `count(${series}) or vector(0)`;
    const test = {
      interval: '1m',
      input_series: input,
      promql_expr_test: [{ expr, eval_time: '2h', exp_samples: [{ labels: '{}', value }] }],
    };
    const file = join(this.#directory, 'test.json');
    writeFileSync(file, JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '1m', tests: [test] }));
    return promtool(['test', 'rules', file]) === '';
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
