import { expect, it } from 'vitest';
import { Failure } from '../failure.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { type Look, printView } from './print-view.ts';

const seen = (text: string, notes: readonly string[] = []): Look => ({
  notes,
  text: (_paint, { width, lines }) => `${text} ${width}x${lines}\n`,
  document: () => ({ text }),
});

/** Prints these looks in turn (an error: the look fails), then interrupts the watch. */
async function watch(
  looks: readonly (Look | Error)[],
  terminal: RecordingTerminal,
  output: 'text' | 'wide' | 'json' = 'text',
): Promise<Look> {
  const controller = new AbortController();
  let next = 0;
  const look = async (): Promise<Look> => {
    const one = looks[next++];
    if (one === undefined || one instanceof Error) throw one ?? new Error('nothing more to see');
    return one;
  };
  const pause = async (): Promise<void> => {
    if (next === looks.length) controller.abort();
  };
  return printView(look, { output, watchMs: 1 }, terminal, { signal: controller.signal, pause });
}

const away = new Failure('unreachable', 'cannot reach it');

it('notes what is missing beside the output, for programs too', async () => {
  for (const output of ['text', 'json'] as const) {
    const terminal = new RecordingTerminal();
    await printView(async () => seen('a', ['half of it']), { output, watchMs: null }, terminal);
    expect(terminal.noted).toBe('spanmesh: half of it\n');
    expect(terminal.printed).toBe(output === 'text' ? 'a InfinityxInfinity\n' : '{\n  "text": "a"\n}\n');
  }
});

it('goes on while nobody answers, notes it once, and returns the last look', async () => {
  const terminal = new RecordingTerminal();
  const last = await watch([seen('a'), away, away, seen('a'), seen('b'), away], terminal);
  expect(terminal.printed).toBe('a InfinityxInfinity\n\nb InfinityxInfinity\n');
  expect(terminal.noted).toBe('spanmesh: not as it is now: cannot reach it\n'.repeat(2));
  expect(last.document()).toEqual({ text: 'b' });
});

it('redraws the last look in place, with the reason why it is not newer', async () => {
  const terminal = new RecordingTerminal();
  Object.assign(terminal.out, { isTTY: true, rows: 4, columns: 80, getColorDepth: () => 1 });
  await watch([seen('a', ['half of it']), away], terminal);
  const blocks = terminal.printed.split('\x1b[H').map((block) => block.replaceAll('\x1b[K', '').split('\x1b')[0]);
  expect(blocks.slice(1)).toEqual([
    'half of it\r\na 80x3',
    'half of it\r\nnot as it is now: cannot reach it\r\na 80x2',
  ]);
});

it.each([
  [[away], away],
  [[seen('a'), new Failure('refused', 'not for you')], 'not for you'],
  [[seen('a'), new Error('what nobody foresaw')], 'what nobody foresaw'],
])('fails if the first look fails, or a later one for good: %#', async (looks, error) => {
  const terminal = new RecordingTerminal();
  Object.assign(terminal.out, { isTTY: true, rows: 4, columns: 80 });
  await expect(watch(looks, terminal)).rejects.toThrow(error);
  // The terminal is restored if it was changed at all.
  expect([terminal.printed === '', terminal.printed.endsWith('\x1b[?1049l')]).toEqual([
    looks.length === 1,
    looks.length > 1,
  ]);
});
