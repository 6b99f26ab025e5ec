import { type FileHandle, open } from 'node:fs/promises';
import { BASE_MASK, DBG_SHELL, SIZE_MASK } from '@spanmesh/dmsg/command';
import { errorName } from '@spanmesh/dmsg/error-code';
import { CORE_HEADER_BYTES, MAX_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { commandName } from '@spanmesh/dmsg/names';
import { type NodeSelector, RoutedMessage } from '@spanmesh/proto/v1/messaging';
import type { ApiTarget } from '../api/open-client.ts';
import type { OutputFormat } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocumentOfStream } from '../output/document.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { protobufJson } from '../output/json.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { auxArgument, payloadArgument } from './bytes-argument.ts';
import { messageWords } from './message-words.ts';
import { Route } from './route.ts';

export interface SendQuery extends ApiTarget {
  readonly node: NodeSelector;
  /** Longest wait for the route, and for each answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly output: OutputFormat;
  /** Command word without flags. */
  readonly command: number;
  /** The payload as typed. */
  readonly payload?: string;
  readonly aux?: string;
  readonly oneWay: boolean;
  /** The answer may have several messages. */
  readonly expectStream: boolean;
  /** File to which the answers' aux data is written. */
  readonly out?: string;
}

/** Largest aux data of any dialect, in bytes; the limit of a route is known only once it is established. */
export const MAX_AUX_BYTES = 1024 * 1024;
const TRANSACTION = 1;

/**
 * Sends a message as it was typed, as a transaction of one message (CREATE|DELETE) or one-way, and prints the answer,
 * or all of them until the node ends the transaction. A one-way message has no last answer: answers are printed until
 * no more come in time.
 * @throws Failure usage; timeout: no answer; refused: the last answer was an error
 */
export async function sendMessage(query: SendQuery, terminal: Terminal): Promise<void> {
  checkCommand(query.command);
  const payload = await payloadArgument(query.payload ?? '');
  const room = (query.command & SIZE_MASK) * CORE_HEADER_BYTES - CORE_HEADER_BYTES;
  if (payload.length > room) {
    throw new Failure('usage', `--payload: ${payload.length} bytes, but a ${nameOf(query)} has room for ${room}`);
  }
  const aux = await auxArgument(query.aux ?? '', terminal.in, MAX_AUX_BYTES);
  const file = query.out === undefined ? null : await openOut(query.out);
  try {
    const route = await Route.open(query);
    try {
      const { auxLimit } = route.opened;
      if (aux.length > auxLimit) {
        throw new Failure('usage', `--aux: ${aux.length} bytes, but messages to ${route.name} hold ${auxLimit}`);
      }
      const transaction = query.oneWay ? 0 : TRANSACTION;
      const isWhole = !query.oneWay;
      route.send({ transaction, command: query.command, create: isWhole, delete: isWhole, payload, aux });
      const show = (message: RoutedMessage): Promise<void> => showMessage(message, query, file, terminal);
      if (!query.oneWay) await awaitAnswers(route, query, show);
      else if (query.expectStream) await awaitOneWay(route, query, show);
      else await route.finish(query.timeoutMs);
    } finally {
      route.close();
    }
  } finally {
    await file?.close();
  }
}

type Show = (message: RoutedMessage) => Promise<void>;

async function awaitAnswers(route: Route, query: SendQuery, show: Show): Promise<void> {
  for (;;) {
    const message = await route.next(query.timeoutMs);
    if (message === null) {
      throw new Failure(
        'timeout',
        `${route.name} has not answered ${nameOf(query)} within ${query.timeoutMs / 1000} s`,
      );
    }
    await show(message);
    if (message.transaction !== TRANSACTION) continue;
    if (!message.delete && query.expectStream) continue;
    if (message.error !== 0) {
      throw new Failure('refused', `${route.name} answered ${nameOf(query)} with ${errorName(message.error)}`);
    }
    return;
  }
}

async function awaitOneWay(route: Route, query: SendQuery, show: Show): Promise<void> {
  for (;;) {
    const message = await route.next(query.timeoutMs);
    if (message === null) return;
    await show(message);
  }
}

async function showMessage(
  message: RoutedMessage,
  { output }: SendQuery,
  file: FileHandle | null,
  terminal: Terminal,
): Promise<void> {
  await file?.appendFile(message.aux);
  // Aux data written to the file is not printed as well.
  const shown = file === null ? message : { ...message, aux: Buffer.alloc(0) };
  if (isDocument(output)) {
    const names = { message: messageWords(message), errorName: errorName(message.error), auxBytes: message.aux.length };
    await writeDocumentOfStream(output, terminal.out, { ...names, ...(protobufJson(RoutedMessage, shown) as object) });
    return;
  }
  let text = `${messageWords(message)}\n`;
  const payload = withoutZeros(message.payload);
  if (payload.length > 0) text += `payload ${Buffer.from(payload).toString('hex')}\n`;
  if (message.aux.length > 0) text += `aux ${message.aux.length} bytes${auxText(shown)}\n`;
  await write(terminal.out, text);
}

function auxText({ command, aux }: RoutedMessage): string {
  if (aux.length === 0) return '';
  if ((command & BASE_MASK) !== DBG_SHELL) return ` ${aux.toString('hex')}`;
  // protocol.md, "Payloads": a shell text ends at its first NUL.
  const [text = ''] = aux.toString('utf8').split('\0');
  return ` "${printable(text)}"`;
}

/** The bytes without zeros at the end, with which headers are padded. */
function withoutZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

/** protocol.md, "Message": a command word has no flags in it, but has the size of the header. */
function checkCommand(command: number): void {
  if ((command & ~BASE_MASK) !== 0) throw new Failure('usage', '--command: without flags, at most 0x00ffffff');
  const headBytes = (command & SIZE_MASK) * CORE_HEADER_BYTES;
  if (headBytes === 0 || headBytes > MAX_HEADER_BYTES) {
    throw new Failure('usage', '--command: its low 8 bits are the size of the header in units of 64 bytes, 1 to 32');
  }
}

function nameOf({ command }: SendQuery): string {
  return commandName(command);
}

async function openOut(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w');
  } catch (error) {
    throw new Failure('usage', `cannot write ${printable(path)}: ${fileTrouble(error)}`, {
      cause: error,
    });
  }
}
