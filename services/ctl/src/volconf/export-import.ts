import { readFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { TargetOrigin, TargetState } from '@spanmesh/proto/v1/volconf';
import type { ApiTarget } from '../api/open-client.ts';
import { VolconfApi } from '../api/volconf-api.ts';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { paintFor } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { count } from '../views/words.ts';
import { lineOf, parseTargetLines, requestOf, type WantedLine, type WantedTarget, wantedOf } from './target-lines.ts';

type Api = ApiTarget & { readonly timeoutMs: number };

export interface ImportQuery {
  /** `-`: standard input. */
  readonly file: string;
  /** Only print the changes, without making them. */
  readonly dryRun: boolean;
  /** Also remove targets that the file does not have. */
  readonly prune: boolean;
}

/** A change of one target. */
type Step =
  | { readonly kind: 'add' | 'change'; readonly target: WantedLine; readonly was: WantedTarget | null }
  | { readonly kind: 'remove'; readonly was: WantedTarget };

/**
 * Prints an operator's targets, one a line, in order of their names: what `import` takes.
 * @throws Failure
 */
export async function exportTargets(options: Api, terminal: Terminal): Promise<void> {
  const api = new VolconfApi(options);
  try {
    const targets = await operatorTargets(api);
    await write(terminal.out, [...targets.values()].map((target) => `${lineOf(target)}\n`).join(''));
  } finally {
    api.close();
  }
}

/**
 * Sets the targets of a file, and prints the changes. A second run with the same file changes nothing.
 * @throws Failure
 */
export async function importTargets(query: ImportQuery, options: Api, terminal: Terminal): Promise<void> {
  const { file, dryRun, prune } = query;
  const name = file === '-' ? 'standard input' : file;
  // The whole file is checked before anything is changed.
  const wanted = parseTargetLines(name, await read(file, terminal));
  const api = new VolconfApi(options);
  try {
    const present = await operatorTargets(api);
    const steps = stepsTo(wanted, present, prune);
    const paint = paintFor(terminal.out);
    let done = 0;
    for (const step of steps) {
      if (!dryRun) {
        await take(step, api).catch((error: unknown) => {
          throw located(error, name, step, { done, all: steps.length });
        });
        done++;
      }
      const role = { add: 'good', change: 'warn', remove: 'bad' } as const;
      await write(terminal.out, `${paint(role[step.kind], stepLine(step))}\n`);
    }
    await write(terminal.out, `${summary(steps, wanted, dryRun)}\n`);
  } finally {
    api.close();
  }
}

async function read(file: string, terminal: Terminal): Promise<string> {
  if (file === '-') return readAll(terminal.in);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Failure('usage', `cannot read ${file}: ${fileTrouble(error)}`, { cause: error });
  }
}

/** The targets that operators have set, in order of their names. */
async function operatorTargets(api: VolconfApi): Promise<Map<string, WantedTarget>> {
  const all = await api.targets({ state: TargetState.TARGET_STATE_UNSPECIFIED, mediaId: '' });
  return new Map(
    all
      .filter(({ origin }) => origin === TargetOrigin.TARGET_ORIGIN_OPERATOR)
      .map((target) => [target.name, wantedOf(target)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function stepsTo(wanted: readonly WantedLine[], present: ReadonlyMap<string, WantedTarget>, prune: boolean): Step[] {
  const steps: Step[] = [];
  for (const target of wanted) {
    const was = present.get(target.name) ?? null;
    if (was !== null && lineOf(was) === lineOf(target)) continue;
    steps.push({ kind: was === null ? 'add' : 'change', target, was });
  }
  if (!prune) return steps;
  const kept = new Set(wanted.map(({ name }) => name));
  for (const [name, was] of present) if (!kept.has(name)) steps.push({ kind: 'remove', was });
  return steps;
}

async function take(step: Step, api: VolconfApi): Promise<void> {
  if (step.kind === 'remove') await api.remove(step.was.name);
  else await api.set(requestOf(step.target));
}

function stepLine(step: Step): string {
  if (step.kind === 'remove') return `- ${shown(step.was)}`;
  if (step.was === null) return `+ ${shown(step.target)}`;
  return `~ ${shown(step.target)} (was ${words(step.was)})`;
}

function shown(target: WantedTarget): string {
  return `${printable(target.name)} ${words(target)}`;
}

function words({ path, dialect }: WantedTarget): string {
  return dialect === 'auto' ? printable(path) : `${printable(path)} ${dialect}`;
}

function summary(steps: readonly Step[], wanted: readonly WantedLine[], dryRun: boolean): string {
  const of = (kind: Step['kind']) => steps.filter((step) => step.kind === kind).length;
  const [added, changed, removed] = [of('add'), of('change'), of('remove')];
  const unchanged = wanted.length - added - changed;
  const text = `${added} added, ${changed} changed, ${removed} removed, ${unchanged} as they were`;
  return dryRun ? `nothing was done; it would be: ${text}` : text;
}

/** The error, with the line of the target that the service has refused; the targets before it are set. */
function located(error: unknown, file: string, step: Step, { done, all }: { done: number; all: number }): unknown {
  if (!(error instanceof Failure)) return error;
  const where = step.kind === 'remove' ? step.was.name : `${file}:${step.target.line}: ${step.target.name}`;
  const rest = `${done} of ${count(all, 'change')} made`;
  return new Failure(error.code, `${where}: ${error.message} (${rest})`, { cause: error });
}
