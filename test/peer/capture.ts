import { readdirSync, readFileSync } from 'node:fs';
import type { Dialect } from './wire.ts';

/** Reads the recorded sessions in test/data/captures; see the README there. */

const DIRECTORY = new URL('../data/captures/', import.meta.url);

/** One whole message of a recording. */
export interface RecordedMessage {
  kind: 'message';
  conn: string;
  fromClient: boolean;
  /** Name of the command; DBG_SHELL is called SHELL here. */
  msg: string;
  flags: string;
  isBarrier: boolean;
  bytes: Buffer;
}

/** An entry of a recorded session: a message, the text of a step, or an event on a connection such as its end. */
export type CaptureEntry =
  | RecordedMessage
  | { kind: 'step'; text: string }
  | { kind: 'event'; conn: string; text: string };

/** A recorded session. */
export interface Capture {
  name: string;
  dialect: Dialect;
  entries: CaptureEntry[];
}

/** An entry as it is in the JSON file. */
interface RawEntry {
  step?: string;
  event?: string;
  conn?: string;
  from?: string;
  msg?: string;
  flags?: string;
  note?: string;
  hex?: string;
  wire?: unknown;
}

/** Names of all recorded sessions (errors.json is not one). */
export function captureNames(): string[] {
  return readdirSync(DIRECTORY)
    .filter((file) => /^v\d-.*\.json$/.test(file))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

/** A recorded session of plaintext messages. */
export function loadCapture(name: string): Capture {
  const file = readJson(`${name}.json`) as { dialect: string; entries: RawEntry[] };
  return {
    name,
    dialect: recordedDialect(file.dialect),
    entries: file.entries.filter((entry) => entry.wire === undefined).map(toEntry),
  };
}

/** The PEM files of both sides of a recorded encrypted session. */
export interface RecordedKeys {
  daemonPrivate: string;
  daemonPublic: string;
  clientPrivate: string;
  clientPublic: string;
}

/** The keys of a recorded encrypted session. */
export function loadKeys(name: string): RecordedKeys {
  return (readJson(`${name}.json`) as { keys: RecordedKeys }).keys;
}

/** A malformed or unexpected input to which a reference daemon's reaction was recorded. */
export interface RecordedError {
  case: string;
  dialect: Dialect;
  /** The bytes that the offender sent first; null if they were not recorded. */
  sent: Buffer | null;
}

/** All cases of errors.json. */
export function loadErrors(): RecordedError[] {
  const file = readJson('errors.json') as { results: { case: string; dialect: string; sentHex?: string }[] };
  return file.results.map((result) => ({
    case: result.case,
    dialect: recordedDialect(result.dialect),
    sent: result.sentHex === undefined ? null : Buffer.from(result.sentHex, 'hex'),
  }));
}

function toEntry(entry: RawEntry): CaptureEntry {
  if (entry.step !== undefined) return { kind: 'step', text: entry.step };
  if (entry.event !== undefined) return { kind: 'event', conn: entry.conn!, text: entry.event };
  return {
    kind: 'message',
    conn: entry.conn!,
    fromClient: entry.from === 'client',
    msg: entry.msg!,
    flags: entry.flags ?? '',
    isBarrier: entry.note === 'barrier',
    bytes: Buffer.from(entry.hex!, 'hex'),
  };
}

function recordedDialect(version: string): Dialect {
  return version === 'v1' ? 'linkid' : 'circuit';
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, DIRECTORY), 'utf8'));
}
