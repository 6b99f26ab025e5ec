import { apiDialect, DIALECT_NAMES, type DialectName, dialectOf } from '@spanmesh/proto/dialect';
import type { SetTargetRequest, Target } from '@spanmesh/proto/v1/volconf';
import * as z from 'zod';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';

/** Largest file that is read, characters: far more than the targets of any installation need. */
export const MAX_TARGETS_FILE_CHARS = 16 * 1024 * 1024;

/** An operator's target as a line of the file holds it. */
export interface WantedTarget {
  readonly name: string;
  readonly path: string;
  readonly dialect: 'auto' | DialectName;
}

/** A wanted target with its line number in the file. */
export interface WantedLine extends WantedTarget {
  readonly line: number;
}

/** volconf.proto, SetTargetRequest; what the path may be besides is for the service to say. */
const schema = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/, 'small letters, digits, dashes and dots, 1 to 63'),
  path: z.string().startsWith('span:').max(300),
  dialect: z.enum(['auto', ...DIALECT_NAMES]).default('auto'),
});

/** What an operator's target asks for; its state is left out. */
export function wantedOf({ name, path, dialect }: Target): WantedTarget {
  return { name, path, dialect: dialectOf(dialect) ?? 'auto' };
}

/** The request by which the API sets the target. */
export function requestOf({ name, path, dialect }: WantedTarget): SetTargetRequest {
  return { name, path, dialect: apiDialect(dialect) };
}

/** A line of the file, without its end. */
export function lineOf({ name, path, dialect }: WantedTarget): string {
  return JSON.stringify({ name, path, dialect });
}

/**
 * The targets of a file: a JSON object a line; empty lines and lines that begin with `#` are skipped.
 * @throws Failure usage: which line, and what is wrong with it
 */
export function parseTargetLines(file: string, text: string): WantedLine[] {
  if (text.length > MAX_TARGETS_FILE_CHARS) {
    throw new Failure('usage', `${file}: at most ${MAX_TARGETS_FILE_CHARS} characters`);
  }
  const found = new Map<string, WantedLine>();
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.trim();
    if (content === '' || content.startsWith('#')) continue;
    const line = index + 1;
    const target = { ...parseLine(`${file}:${line}`, content), line };
    const before = found.get(target.name);
    if (before !== undefined) {
      throw new Failure('usage', `${file}:${line}: ${target.name} is in line ${before.line} already`);
    }
    found.set(target.name, target);
  }
  return [...found.values()];
}

function parseLine(where: string, content: string): WantedTarget {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new Failure('usage', `${where}: not a JSON object, as \`spanmesh volconf export\` prints them`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new Failure('usage', `${where}: ${path.length === 0 ? '' : `${path.join('.')}: `}${printable(message)}`);
}
