import * as z from 'zod';
import { type HostPort, parseHostPort } from '../address.ts';
import { MAX_TIMER_MS } from '../clock.ts';

/** Parsers for Setting.parse. Each throws an Error whose message completes "'value': …". */
type Parser<T> = (text: string) => T;

/** Longest duration of a setting, ms: 24 days, the longest that a timer of Node can run. */
const MAX_DURATION_MS = MAX_TIMER_MS;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Any text whose length (in characters) is within the bounds, and that matches `pattern`, which `says` describes. */
export function text({
  min = 0,
  max = 4096,
  pattern,
  says,
}: {
  min?: number;
  max?: number;
  pattern?: RegExp;
  says?: string;
} = {}): Parser<string> {
  let schema = z
    .string()
    .min(min, min === 1 ? 'must not be empty' : `must have at least ${min} characters`)
    .max(max, `must have at most ${max} characters`);
  if (pattern !== undefined) {
    schema = schema.regex(pattern, says ?? `must match ${pattern}`);
  }
  return parserOf(schema);
}

/** A decimal integer, both bounds included. */
export function integer({
  min = Number.MIN_SAFE_INTEGER,
  max = Number.MAX_SAFE_INTEGER,
}: {
  min?: number;
  max?: number;
} = {}): Parser<number> {
  const range = `must be ${min}..${max}`;
  return parserOf(
    z
      .string()
      .regex(/^-?[0-9]{1,16}$/, 'must be an integer')
      .transform(Number)
      .pipe(z.number().min(min, range).max(max, range)),
  );
}

/** A duration in milliseconds: `250`, `250ms`, `2s`, `1.5s`, `5m`, `1h`; bounds in milliseconds. */
export function duration({ min = 0, max = MAX_DURATION_MS }: { min?: number; max?: number } = {}): Parser<number> {
  const range = `must be ${min}ms..${max}ms`;
  return parserOf(
    z
      .string()
      .regex(/^[0-9]{1,12}(\.[0-9]{1,3})?(ms|s|m|h)?$/, 'must be a duration such as 250ms, 2s, 5m or 1h')
      .transform((written) => {
        const [unit] = /[a-z]*$/.exec(written) ?? [];
        return Number.parseFloat(written) * (UNIT_MS[unit || 'ms'] ?? Number.NaN);
      })
      .pipe(z.number().min(min, range).max(max, range)),
  );
}

/** `true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off`. */
export function boolean(): Parser<boolean> {
  return parserOf(
    z
      .enum(['true', '1', 'yes', 'on', 'false', '0', 'no', 'off'], 'must be true or false')
      .transform((word) => word === 'true' || word === '1' || word === 'yes' || word === 'on'),
  );
}

/** One of the given words. */
export function oneOf<const W extends string>(words: readonly W[]): Parser<W> {
  return parserOf(z.enum(words, `must be one of ${words.join(', ')}`)) as Parser<W>;
}

/** Comma-separated values of one kind; the empty text is the empty list. Blanks around a value are dropped. */
export function list<T>(of: Parser<T>, { max = 1024 }: { max?: number } = {}): Parser<T[]> {
  return (written) => {
    if (written.trim() === '') {
      return [];
    }
    const parts = written.split(',');
    if (parts.length > max) {
      throw new Error(`must have at most ${max} values`);
    }
    return parts.map((part, index) => {
      try {
        return of(part.trim());
      } catch (error) {
        throw new Error(`value ${index + 1}: ${(error as Error).message}`, { cause: error });
      }
    });
  };
}

/** An address to connect to, `host:port`, port 1..65535. */
export function hostPort(): Parser<HostPort> {
  return (written) => parseHostPort(written);
}

/** An address to listen on: like hostPort, and port 0 takes any free one. */
export function listenAddress(): Parser<HostPort> {
  return (written) => parseHostPort(written, { minPort: 0 });
}

/** Null for the empty text ("not set", "switched off"); any other text goes to `of`. */
export function optional<T>(of: Parser<T>): Parser<T | null> {
  return (written) => (written === '' ? null : of(written));
}

function parserOf<T>(schema: z.ZodType<T, string>): Parser<T> {
  return (written) => {
    const result = schema.safeParse(written);
    if (!result.success) {
      throw new Error(result.error.issues[0]?.message);
    }
    return result.data;
  };
}
