import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '@spanmesh/ctl/program';
import { commandTree } from '@spanmesh/ctl/reference/command-tree';
import { fillPage } from '@spanmesh/ctl/reference/markdown';
import { nowhere } from '@spanmesh/ctl/reference/nowhere';
import { settings as gatewaySettings, LinkGatewayProcess } from '@spanmesh/link-gateway/process';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { readSettings, type Setting } from '@spanmesh/runtime/settings/setting';
import { settings as standaloneSettings } from '@spanmesh/standalone/settings';
import { Standalone } from '@spanmesh/standalone/standalone';
import { TopologyProcess, settings as topologySettings } from '@spanmesh/topology/process';
import { VolconfProcess, settings as volconfSettings } from '@spanmesh/volconf/process';
import { prometheusRule } from '../../deploy/monitoring/prometheus-rule.ts';
import { fillDissector } from './dissector.ts';
import { isBound, limitKey, limitTests } from './limit-tests.ts';
import { limits } from './limits.ts';

/** A document that is generated from the code: `npm run docs:generate` writes it, a test compares it. */
export interface GeneratedDocument {
  readonly path: string;
  readonly text: string;
}

/** All documents that are generated from the code. */
export async function generatedDocuments(): Promise<GeneratedDocument[]> {
  return [
    { path: 'docs/cli.md', text: fillPage(read('docs/cli.md'), commandTree(buildProgram(nowhere()))) },
    { path: 'docs/configuration.md', text: configuration() },
    { path: 'docs/limits.md', text: limitsTable() },
    { path: 'docs/metrics.md', text: await metrics() },
    { path: 'tools/wireshark/dmsg.lua', text: fillDissector(read('tools/wireshark/dmsg.lua')) },
    { path: 'libs/runtime/src/settings/product-settings.ts', text: productSettings() },
    { path: 'deploy/k8s/components/monitoring/rules.yaml', text: prometheusRule(read('deploy/monitoring/rules.yaml')) },
  ];
}

function read(path: string): string {
  return readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
}

const SERVICES: Record<string, Record<string, Setting<unknown>>> = {
  standalone: standaloneSettings,
  'link-gateway': gatewaySettings,
  topology: topologySettings,
  volconf: volconfSettings,
};

/** The environment variables of all services, sorted. */
export function settingNames(): string[] {
  const all = Object.values(SERVICES).flatMap((settings) => Object.values(settings).map(({ env }) => env));
  return [...new Set(all)].sort();
}

/** For every process: what another one of the installation reads is no mistake in the environment that they share. */
function productSettings(): string {
  return [
    '/**',
    ' * The variables that services of the product read, all of them. Made from their settings by `npm run docs:generate`.',
    ' */',
    'export const PRODUCT_SETTINGS: ReadonlySet<string> = new Set([',
    ...settingNames().map((name) => `  '${name}',`),
    ']);',
    '',
  ].join('\n');
}

function configuration(): string {
  const names = settingNames();
  const rows = names.map((env) => {
    const users = Object.entries(SERVICES).flatMap(([service, settings]) => {
      const found = Object.values(settings).find((setting) => setting.env === env);
      return found === undefined ? [] : [{ service, ...found }];
    });
    const { flag, describe } = users[0]!;
    const defaults = Map.groupBy(users, (user) => user.default);
    const shown = [...defaults].map(([value, by]) => {
      const text = value === '' ? 'none' : `\`${value}\``;
      return defaults.size === 1 ? text : `${text} (${by.map(({ service }) => service).join(', ')})`;
    });
    const everyone = users.length === Object.keys(SERVICES).length;
    return [
      `\`${env}\``,
      `\`${flag}\``,
      shown.join(', '),
      everyone ? 'all' : users.map(({ service }) => service).join(', '),
      describe,
    ];
  });
  return [
    '# Settings',
    '',
    'Every setting is an environment variable and a flag of `spanmesh run`; the flag takes precedence. If a value cannot be',
    'used, or a port is taken, the process prints one line with the setting and exits with code 2. Durations are `250ms`,',
    '`2s`, `5m`, `1h`, or milliseconds. A variable `SPANMESH_…` that no service reads has no effect: the log warns of it,',
    '`spanmesh config show` names it, and for `spanmesh run SERVICE --check` it is an error, exit code 2. All three name the',
    'setting with the most similar name. There is no warning for settings of other services, nor for the variables that',
    'Kubernetes sets for its Services.',
    '',
    '`npm run docs:generate` makes this page from the code.',
    '',
    ...table(['variable', 'flag', 'default', 'of', 'what it is'], rows),
    '',
  ].join('\n');
}

function limitsTable(): string {
  const root = join(import.meta.dirname, '../..');
  const all = limits(root);
  const tests = limitTests(root, all);
  const files = Map.groupBy(all, ({ file }) => file);
  const parts = [...files].flatMap(([file, found]) => [
    `## ${file}`,
    '',
    ...table(
      ['limit', 'value', 'what it bounds', 'test'],
      found.map((limit) => {
        const test = tests.get(limitKey(limit));
        const shown =
          test === undefined ? (isBound(limit) ? 'none' : '') : `\`${test.file}\`: ${test.test.replaceAll('|', '\\|')}`;
        return [`\`${limit.name}\``, `\`${limit.value}\``, limit.why, shown];
      }),
    ),
    '',
  ]);
  return [
    '# Limits',
    '',
    'Every table that a peer or a client can grow has a limit. Limits called `DEFAULT_…` are defaults of settings',
    '([configuration.md](configuration.md)); the others are fixed. Past a limit a peer or client is refused; that is counted',
    '([metrics.md](metrics.md)) and logged once per interval.',
    '',
    'The test beside a limit reaches the limit and goes one past it; `// Limits:` in the test names it. Tests of settings use',
    'a small value. Times and shares need no test. `test/docs/limit-tests.test.ts` fails if another limit has none.',
    '',
    '`npm run docs:generate` makes this page from the code.',
    '',
    ...parts,
  ].join('\n');
}

/** The metrics of all services, including those that exist only when processes find each other over NATS. */
async function metrics(): Promise<string> {
  const found = new Map<string, { type: string; help: string; of: string[] }>();
  for (const [service, text] of await metricsTexts()) {
    const types = new Map(
      [...text.matchAll(/^# TYPE (spanmesh_\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]),
    );
    for (const [, name, help] of text.matchAll(/^# HELP (spanmesh_\S+) (.+)$/gm)) {
      const known = found.get(name!) ?? { type: types.get(name!) ?? '', help: help!, of: [] };
      found.set(name!, { ...known, of: [...known.of, service] });
    }
  }
  const rows = [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { type, help, of }]) => {
      const everyone = of.length === Object.keys(SERVICES).length;
      return [`\`${name}\``, type, everyone ? 'all' : of.join(', '), help];
    });
  return [
    '# Metrics',
    '',
    'The metrics at `/metrics` of the HTTP port, in the text format of Prometheus. Names end with their unit. The metrics of',
    'Node (`nodejs_…`, `process_…`) are there, too.',
    '',
    '`npm run docs:generate` makes this page from the code.',
    '',
    ...table(['metric', 'type', 'of', 'what it is'], rows),
    '',
  ].join('\n');
}

/** The metrics that each service would expose; no service is started. */
export async function metricsTexts(): Promise<[string, string][]> {
  const logger = createLogger({ level: 'silent', service: 'docs' });
  // Nothing listens at this address, and no process waits for it.
  const env = { SPANMESH_NATS_URL: 'nats://127.0.0.1:1', SPANMESH_DATA_DIR: '' };
  const sources = { env, flags: {} };
  const made = {
    standalone: new Standalone(readSettings(standaloneSettings, sources), logger),
    'link-gateway': new LinkGatewayProcess(readSettings(gatewaySettings, sources), logger),
    topology: new TopologyProcess(readSettings(topologySettings, sources), logger),
    volconf: new VolconfProcess(readSettings(volconfSettings, sources), logger),
  };
  const texts: [string, string][] = [];
  for (const [service, process] of Object.entries(made)) {
    texts.push([service, await process.metrics.text()]);
    await process.stop();
  }
  return texts;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
