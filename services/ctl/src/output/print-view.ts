import { setTimeout as wait } from 'node:timers/promises';
import { Failure, type FailureCode } from '../failure.ts';
import { interruption } from '../interruption.ts';
import type { ViewOptions } from '../list-options.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { isDocument, writeDocument, writeDocumentOfStream } from './document.ts';
import { type Paint, paintFor } from './paint.ts';
import { isTerminal, Screen, widthOf } from './screen.ts';

/** The space on the terminal. */
export interface Room {
  /** Characters in a line. */
  readonly width: number;
  readonly lines: number;
}

/** The view at one moment. */
export interface Look {
  /** Lines about the view, for people: what is missing. */
  readonly notes?: readonly string[];
  /** The view as text, for people. Lines that do not fit are left out, and their number is given. */
  text(paint: Paint, room: Room): string;
  /** The view as a document, for programs. */
  document(): unknown;
}

/** What tests pass in place of the real pauses and interruption of `--watch`. */
export interface ViewWatch {
  readonly signal: AbortSignal;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** Failures that pass by themselves, as a fail-over does. */
const PASSING: ReadonlySet<FailureCode> = new Set(['unreachable', 'timeout', 'lost']);

interface Printing {
  readonly options: ViewOptions;
  readonly terminal: Terminal;
}

/**
 * Prints what `look` returns, as the options say: once, or with `--watch` again and again, until interrupted. When a
 * later look fails for a while, the last one stays, with the reason.
 * @returns the last look
 * @throws what `look` throws
 */
export async function printView<L extends Look>(
  look: () => Promise<L>,
  options: ViewOptions,
  terminal: Terminal,
  watch?: ViewWatch,
): Promise<L> {
  const { watchMs } = options;
  // The first look comes before anything is changed on the terminal: its failure is printed as an ordinary line.
  let last = await look();
  if (watchMs === null) {
    await printOnce(last, { options, terminal });
    return last;
  }
  const lookAgain = async (): Promise<Look> => {
    try {
      last = await look();
      return last;
    } catch (error) {
      if (!(error instanceof Failure) || !PASSING.has(error.code)) throw error;
      const { text, document, notes = [] } = last;
      return { text, document, notes: [...notes, `not as it is now: ${error.message}`] };
    }
  };
  const run = (signal: AbortSignal): Promise<void> =>
    watchView(last, lookAgain, { options, terminal }, { watchMs, signal, pause: watch?.pause ?? pauseFor });
  await (watch === undefined ? interruption(run) : run(watch.signal));
  return last;
}

async function printOnce(look: Look, { options, terminal }: Printing): Promise<void> {
  const { output } = options;
  for (const line of look.notes ?? []) note(terminal, line);
  if (isDocument(output)) await writeDocument(output, terminal.out, look.document());
  else await write(terminal.out, look.text(paintFor(terminal.out), roomOf(options, terminal)));
}

/** The space on a terminal. Without a terminal there is no limit, and with wide output none of the width. */
function roomOf({ output }: ViewOptions, { out }: Terminal, lines = Number.POSITIVE_INFINITY): Room {
  return { width: output === 'wide' ? Number.POSITIVE_INFINITY : widthOf(out), lines };
}

async function watchView(
  first: Look,
  lookAgain: () => Promise<Look>,
  printing: Printing,
  { watchMs, signal, pause }: ViewWatch & { readonly watchMs: number },
): Promise<void> {
  const { terminal, options } = printing;
  const screen = !isDocument(options.output) && isTerminal(terminal.out) ? new Screen(terminal.out) : null;
  let look = first;
  let before: Printed | null = null;
  await screen?.begin();
  try {
    while (!signal.aborted) {
      if (screen === null) before = await printChanged(look, printing, before);
      else await showInPlace(look, printing, screen);
      try {
        await pause(watchMs, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      if (!signal.aborted) look = await lookAgain();
    }
  } finally {
    await screen?.end();
  }
}

async function showInPlace(look: Look, { options, terminal }: Printing, screen: Screen): Promise<void> {
  const paint = paintFor(terminal.out);
  const above = (look.notes ?? []).map((line) => paint('warn', line));
  const room = roomOf(options, terminal, Math.max(1, screen.rows - above.length));
  await screen.show([...above, look.text(paint, room).trimEnd()].join('\n'));
}

/** What was printed the last time. */
interface Printed {
  readonly text: string;
  readonly notes: string;
}

/** Prints the view, unless it is the same as the last one printed. */
async function printChanged(look: Look, { options, terminal }: Printing, before: Printed | null): Promise<Printed> {
  const { output } = options;
  const whole = isDocument(output) ? look.document() : null;
  const text = isDocument(output)
    ? JSON.stringify(whole)
    : look.text(paintFor(terminal.out), roomOf(options, terminal));
  const notes = look.notes?.join('\n') ?? '';
  const isSame = text === before?.text;
  if (!isSame || notes !== before.notes) for (const line of look.notes ?? []) note(terminal, line);
  if (isSame) return { text, notes };
  if (isDocument(output)) await writeDocumentOfStream(output, terminal.out, whole);
  else await write(terminal.out, before === null ? text : `\n${text}`);
  return { text, notes };
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, undefined, { signal });
}
