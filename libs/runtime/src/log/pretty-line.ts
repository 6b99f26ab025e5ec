import { styleText } from 'node:util';

const COLOURS = { trace: 'gray', debug: 'gray', info: 'green', warn: 'yellow', error: 'red', fatal: 'red' } as const;
// Characters that JSON does not escape: eight-bit control characters, and those that change the text beside them.
const UNPRINTABLE = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;
/** Fields that have a place of their own in the line, or mean nothing to the person who has started the process. */
const KNOWN = new Set(['level', 'time', 'msg', 'service', 'err']);

/**
 * A line of the log for people: `12:00:01.250 WARN  what it says  connection=gw.1:7`, and below it the stack of an
 * error. Texts of peers in it stay escaped.
 */
export function prettyLine(json: string, { isColoured }: { readonly isColoured: boolean }): string {
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const { level, time, msg, err } = line;
  const name = String(level);
  const colour = isColoured && name in COLOURS ? COLOURS[name as keyof typeof COLOURS] : null;
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colour === null ? text : styleText(style, text, { validateStream: false });
  const fields = Object.entries(line)
    .filter(([key]) => !KNOWN.has(key))
    .map(([key, value]) => paint('gray', `${escaped(key)}=${valueText(value)}`));
  // Somebody who watches does not need the date.
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const said = typeof msg === 'string' ? escaped(msg) : '';
  const head = [paint('gray', clock), paint(colour ?? 'gray', name.toUpperCase().padEnd(5)), said].join(' ');
  return `${[head, ...fields].join('  ')}\n${errorText(err)}`;
}

/** A plain word as it is, any other value as JSON. */
function valueText(value: unknown): string {
  const text = typeof value === 'string' && /^[^\s"=\\]+$/.test(value) ? value : JSON.stringify(value);
  return escaped(text);
}

function errorText(err: unknown): string {
  if (typeof err !== 'object' || err === null) return err === undefined ? '' : `    ${valueText(err)}\n`;
  const { stack, message } = err as { readonly stack?: unknown; readonly message?: unknown };
  const text = typeof stack === 'string' ? stack : typeof message === 'string' ? message : JSON.stringify(err);
  return text
    .split('\n')
    .map((line) => `    ${escaped(line)}\n`)
    .join('');
}

function escaped(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replace(UNPRINTABLE, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
