/**
 * `node deploy/monitoring/main.ts --runbook URL [--kubernetes]`: prints the rules, with links to the runbook at that
 * address; with `--kubernetes` as a PrometheusRule.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prometheusRule, withRunbook } from './prometheus-rule.ts';

const { values } = parseArgs({ options: { runbook: { type: 'string' }, kubernetes: { type: 'boolean' } } });
const rules = readFileSync(join(import.meta.dirname, 'rules.yaml'), 'utf8');
const linked = withRunbook(rules, values.runbook ?? 'docs/runbook.md');
process.stdout.write(values.kubernetes === true ? prometheusRule(linked) : linked);
