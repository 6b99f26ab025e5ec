import { expect, it } from 'vitest';
import { createLogger } from './logger.ts';
import { prettyLine } from './pretty-line.ts';

function logged(log: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  log(createLogger({ level: 'info', service: 'test', destination: { write: (line) => lines.push(line) } }));
  return lines.map((line) => prettyLine(line, { isColoured: false })).join('');
}

it('has the time, the level, the message, and the fields', () => {
  expect(logged((logger) => logger.warn({ connection: 'gw.1:7', text: 'two words', n: 3 }, 'a peer went'))).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}a peer went {2}connection=gw\.1:7 {2}text="two words" {2}n=3\n$/,
  );
});

it('has an error’s stack below', () => {
  const text = logged((logger) => logger.error({ err: new Error('no\x1b[2J') }, 'bad'));
  expect(text).toMatch(/ERROR bad\n {4}Error: no\\u001b\[2J\n {4} {4}at /);
});

it('escapes control characters', () => {
  const text = logged((logger) => logger.info({ '\u009bkey': '\u009b31m\u202e', more: ['\x1b[2J\n'] }, 'a\r\n\u2028b'));
  expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
});

it('leaves text alone that is not JSON, and colours if it may', () => {
  expect(prettyLine('something else\n', { isColoured: true })).toBe('something else\n');
  expect(prettyLine('{"level":"info","time":"2026-01-31T12:00:01.250Z","msg":"x"}\n', { isColoured: true })).toBe(
    '\x1b[90m12:00:01.250\x1b[39m \x1b[32mINFO \x1b[39m x\n',
  );
});
