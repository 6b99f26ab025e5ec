import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EventKind } from '@spanmesh/proto/v1/events';

/** What operators watch for, and what users of the API are answered. */
export const SIGN_KINDS = ['event', 'metric', 'line', 'code'] as const;
export type SignKind = (typeof SIGN_KINDS)[number];

/** By kind: names of what must have a test that brings it about by its cause. */
export type Signs = Readonly<Record<SignKind, ReadonlySet<string>>>;

/** Files whose errors users of the API get; what reflection answers is no call of it. */
const PUBLIC =
  /^services\/(topology\/src\/(api|directory|events|operate|show|traffic)\/|volconf\/src\/api\.ts|link-gateway\/src\/(capture|messaging)\/)|^libs\/runtime\/src\/(grpc|access|process)\/(?!lazy-reflection)/;
/** Where a code is chosen. What is written to a log, or compared, is not. */
const CODE =
  /(?:ApiError\(\s*|fail\(\s*|\bfail\(stream, |(?<!readonly )code: |(?<!\?)\? |\s: )status\.([A-Z_]+)|(\binvalid\()(?!details: string)/g;
/** Nobody is there to hear it, nothing is wrong, or it is only counted. */
const UNHEARD = new Set(['CANCELLED', 'OK', 'UNKNOWN']);
/**
 * Lines above a test: `// Causes: metric NAME, NAME`, with one kind a line; of a line of the log one. The next test is
 * meant.
 */
const MARK =
  /((?:^[ \t]*\/\/ (?:Causes|Limits): .+\n)+)[\s\S]*?\b(?:it|test)(?:\.each[^(]*\([\s\S]*?\))?\(\s*(['`])(.*?)\2/gm;

/**
 * Everything that must be caused: the kinds of events, the metrics and lines of the documents, the codes in the
 * sources.
 */
export function signs(root: string): Signs {
  const events = Object.keys(EventKind).flatMap((name) => /^EVENT_KIND_(?!UNSPECIFIED)(\w+)$/.exec(name)?.[1] ?? []);
  return {
    event: new Set(events),
    metric: new Set(firstCells(read(root, 'docs/metrics.md'), /spanmesh_\w+/)),
    line: new Set(firstCells(section(read(root, 'docs/runbook.md'), 'Lines of the log'), /.+/)),
    code: new Set(sources(root).flatMap((file) => (PUBLIC.test(file) ? codesIn(file, read(root, file)) : []))),
  };
}

/**
 * Where each is caused, as the marks say: `kind name` → the file and the test. @throws Error: a mark that names nothing
 */
export function causes(root: string, wanted: Signs): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of tracked(root, '*.test.ts')) {
    for (const [, marks = '', , test = ''] of read(root, file).matchAll(MARK)) {
      for (const [, kind = '', names = ''] of marks.matchAll(/Causes: (\w+) (.+)/g)) {
        for (const name of kind === 'line' ? [names] : names.split(/, ?/)) {
          if (!isSignKind(kind)) throw new Error(`${file}: nothing of the kind “${kind}” can be caused`);
          const meant = [...wanted[kind]].filter(
            (one) => one === name || (kind === 'code' && one.endsWith(`/${name}`)),
          );
          if (meant.length !== 1) throw new Error(`${file}: “${kind} ${name}” is ${meant.length} signs, not one`);
          found.set(`${kind} ${meant[0]}`, `${file}: ${test}`);
        }
      }
    }
  }
  return found;
}

/** Lines that the documents tell of and no source writes. */
export function unwritten(root: string, lines: ReadonlySet<string>): string[] {
  const all = sources(root)
    .map((file) => read(root, file))
    .join('\n');
  return [...lines].filter((line) => !all.includes(`'${line}'`));
}

/** `file CODE`, each once. */
function codesIn(file: string, text: string): string[] {
  const codes = [...text.matchAll(CODE)].map(([, code, isInvalid]) => (isInvalid ? 'INVALID_ARGUMENT' : (code ?? '')));
  return [...new Set(codes)].filter((code) => !UNHEARD.has(code)).map((code) => `${file} ${code}`);
}

/** What stands in the first cells of tables, in backticks. */
function firstCells(text: string, what: RegExp): string[] {
  return [...text.matchAll(new RegExp(`^\\| \`(${what.source}?)\` \\|`, 'gm'))].map(([, cell = '']) => cell);
}

/** A part of a document, from its heading to the next of the same rank. */
function section(text: string, heading: string): string {
  return text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
}

function sources(root: string): string[] {
  return tracked(root, 'libs/*.ts', 'services/*.ts').filter(
    (file) => !/\.(test|fixture)\.ts$|\/gen\/|\/testing\//.test(file),
  );
}

function tracked(root: string, ...patterns: string[]): string[] {
  return execFileSync('git', ['-C', root, 'ls-files', '--', ...patterns], { encoding: 'utf8' })
    .trim()
    .split('\n');
}

function read(root: string, file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function isSignKind(kind: string): kind is SignKind {
  return (SIGN_KINDS as readonly string[]).includes(kind);
}
