import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { render } from '../deploy/kustomize.ts';
import type { Series } from './alerts.ts';
import { promtool } from './promtool.ts';

/** The rules as an installation has them. */
export class Rules {
  readonly groups = render('production', ['monitoring']).flatMap(({ spec }) => spec?.groups ?? []);
  readonly alerts = this.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  readonly #directory = mkdtempSync(join(tmpdir(), 'spanmesh-rules-'));

  constructor() {
    // JSON is YAML.
    writeFileSync(join(this.#directory, 'rules.json'), JSON.stringify({ groups: this.groups }));
  }

  /** What promtool says of an alert at the end of two hours: is it firing? */
  isFiring(alert: string, input: readonly Series[]): boolean {
    const isSaid = (value: number): boolean => {
      const expr = `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`;
      const test = {
        interval: '1m',
        input_series: input,
        promql_expr_test: [{ expr, eval_time: '2h', exp_samples: [{ labels: '{}', value }] }],
      };
      const file = join(this.#directory, 'test.json');
      writeFileSync(file, JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '1m', tests: [test] }));
      return promtool(['test', 'rules', file]) === '';
    };
    const [silent, fires] = [isSaid(0), isSaid(1)];
    // Exactly one of them is true, unless the test itself is wrong.
    if (silent === fires) throw new Error(`promtool does not say whether ${alert} fires`);
    return fires;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
