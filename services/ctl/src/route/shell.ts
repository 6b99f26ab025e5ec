import { createInterface, type Interface } from 'node:readline';
import { DBG_SHELL, LNK_ERROR } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { NodeSelector, RoutedMessage } from '@spanmesh/proto/v1/messaging';
import type { ApiTarget } from '../api/open-client.ts';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';
import { isTerminal } from '../output/screen.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { count } from '../views/words.ts';
import { messageWords } from './message-words.ts';
import { Route } from './route.ts';
import { historyFile, MAX_LINES, ShellHistory } from './shell-history.ts';

export interface ShellQuery extends ApiTarget {
  readonly node: NodeSelector;
  /** Longest wait for the route, and for each line of output, in milliseconds. */
  readonly timeoutMs: number;
  /** The command; null: lines of standard input, until it ends. */
  readonly command: string | null;
  /** Whether typed lines are kept for later shells, if the environment allows it. */
  readonly keepsHistory: boolean;
}

/**
 * End of output in the circuit dialect, as the reference sends it without ending the transaction (protocol.md,
 * "Message").
 */
const PROMPT = 'debug> ';
/** Transaction numbers have 32 bits; after the last number they begin again with the first. */
const LAST_NUMBER = 0xffffffff;

/**
 * Runs commands of the debug shell on a node, each as a transaction, and prints the output.
 * @throws Failure
 */
export async function shell(query: ShellQuery, terminal: Terminal): Promise<void> {
  const route = await Route.open(query);
  try {
    if (query.command !== null) await runCommand(query.command, 1, route, query.timeoutMs, terminal);
    else await runLines(route, query, terminal);
  } finally {
    route.close();
  }
}

/** Runs line by line. After a line that fails the next one runs, unless the route is gone. */
async function runLines(route: Route, { timeoutMs, keepsHistory }: ShellQuery, terminal: Terminal): Promise<void> {
  const isTyped = 'isTTY' in terminal.in && terminal.in.isTTY === true;
  let ran = 0;
  let failed = 0;
  // Lines can be edited and recalled only if both input and output are a terminal.
  const isEdited = isTyped && isTerminal(terminal.out);
  const text = `${route.name}> `;
  const printPrompt = (): Promise<void> => (isTyped && !isEdited ? write(terminal.out, text) : Promise.resolve());
  const file = isEdited && keepsHistory ? historyFile(terminal.env) : null;
  const history = new ShellHistory(file, (line) => note(terminal, line));
  await printPrompt();
  // Created only when the loop below is ready: the interface does not buffer lines.
  const lines = createInterface({
    input: terminal.in,
    crlfDelay: Number.POSITIVE_INFINITY,
    ...(isEdited && {
      output: terminal.out,
      terminal: true,
      prompt: text,
      history: history.read(),
      historySize: MAX_LINES,
      removeHistoryDuplicates: true,
    }),
  });
  let isRunning = false;
  let isClosed = false;
  lines.once('close', () => {
    isClosed = true;
  });
  if (isEdited) {
    lines.on('SIGINT', () => {
      // As in any shell, Ctrl-C drops a line that is begun; on an empty line it ends the shell.
      if (isRunning || lines.line === '') lines.close();
      else giveUpLine(lines);
    });
    lines.prompt();
  }
  for await (const line of lines) {
    if (line.trim() !== '') {
      ran++;
      history.add(line);
      isRunning = true;
      try {
        await runCommand(line, ((ran - 1) % LAST_NUMBER) + 1, route, timeoutMs, terminal);
      } catch (error) {
        if (!(error instanceof Failure) || error.code === 'lost') throw error;
        failed++;
        note(terminal, error.message);
      } finally {
        isRunning = false;
      }
    }
    // The shell may have been ended by Ctrl-C or Ctrl-D meanwhile.
    if (isEdited && !isClosed) lines.prompt();
    else await printPrompt();
  }
  if (isTyped) await write(terminal.out, '\n');
  if (failed > 0) throw new Failure('refused', `${failed} of ${count(ran, 'command')} failed`);
}

/** Deletes the line by the keys that do so, wherever the cursor is. */
function giveUpLine(lines: Interface): void {
  lines.write(null, { ctrl: true, name: 'e' });
  lines.write(null, { ctrl: true, name: 'u' });
}

async function runCommand(
  command: string,
  transaction: number,
  route: Route,
  timeoutMs: number,
  terminal: Terminal,
): Promise<void> {
  const aux = Buffer.from(`${command}\0`, 'utf8');
  if (aux.length > route.opened.auxLimit) throw new Failure('usage', 'the command is longer than a message may be');
  route.send({ transaction, command: DBG_SHELL, create: true, delete: true, aux });
  let hasSpoken = false;
  for (;;) {
    const message = await route.next(timeoutMs);
    if (message === null) throw silence(route.name, timeoutMs, hasSpoken);
    // Late output of an earlier command does not belong to this one.
    if (message.transaction !== transaction) continue;
    hasSpoken = true;
    if (message.error !== 0) throw refusal(route.name, message);
    if (message.command === DBG_SHELL) {
      const text = shellText(message.aux);
      if (text === PROMPT) return;
      await write(terminal.out, printableLines(text));
    }
    // An LNK_ERROR without DELETE either only opens the node's direction (CREATE), or it ends the output by a node that
    // omits DELETE.
    if (message.delete || (message.command === LNK_ERROR && !message.create)) return;
  }
}

function silence(name: string, timeoutMs: number, hasSpoken: boolean): Failure {
  const after = `within ${timeoutMs / 1000} s`;
  return new Failure(
    'timeout',
    hasSpoken
      ? `${name} has stopped in the middle of its answer: nothing more ${after}`
      : `${name} has not answered on the circuit ${after}; one that answers elsewhere cannot be heard`,
  );
}

function refusal(name: string, message: RoutedMessage): Failure {
  if (message.error === ErrorCode.NOSUPP) return new Failure('refused', `${name} has no shell here: NOSUPP`);
  return new Failure('refused', `${name} answered ${messageWords(message)}`);
}

/** protocol.md, "Payloads": a shell text ends at its first NUL or at the end of the aux data. */
function shellText(aux: Uint8Array): string {
  const end = aux.indexOf(0);
  return Buffer.from(end < 0 ? aux : aux.subarray(0, end)).toString('utf8');
}

/** Makes lines safe to print. Line ends and tabs stay: `tree` uses them for its layout. */
function printableLines(text: string): string {
  const shown = text.replace(/[^\n\t]+/g, printable);
  return shown === '' || shown.endsWith('\n') ? shown : `${shown}\n`;
}
