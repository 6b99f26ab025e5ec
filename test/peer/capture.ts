import { readdirSync, readFileSync } from 'node:fs';
import type { Dialect } from './wire.ts';

/** Recorded sessions (test/data/captures): see the README beside them. */

const DIRECTORY = new URL('../data/captures/', import.meta.url);

/** One whole message of a recording. */
export interface RecordedMessage {
  kind: 'message';
  conn: string;
  fromClient: boolean;
  /** Name of the command; DBG_SHELL is called SHELL. */
  msg: string;
  flags: string;
  isBarrier: boolean;
  bytes: Buffer;
}

export type CaptureEntry =
  | RecordedMessage
  | { kind: 'step'; text: string }
  | { kind: 'event'; conn: string; text: string };

export interface Capture {
  name: string;
  dialect: Dialect;
  entries: CaptureEntry[];
}

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

/** Names of all recordings, `errors` excepted. */
export function captureNames(): string[] {
  return readdirSync(DIRECTORY)
    .filter((file) => /^v\d-.*\.json$/.test(file))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

/** A recording of plaintext messages. */
export function loadCapture(name: string): Capture {
  const file = readJson(`${name}.json`) as { dialect: string; entries: RawEntry[] };
  return {
    name,
    dialect: recordedDialect(file.dialect),
    entries: file.entries.filter((entry) => entry.wire === undefined).map(toEntry),
  };
}

/** PEM files of both sides of a recording of an encrypted session. */
export interface RecordedKeys {
  daemonPrivate: string;
  daemonPublic: string;
  clientPrivate: string;
  clientPublic: string;
}

export function loadKeys(name: string): RecordedKeys {
  return (readJson(`${name}.json`) as { keys: RecordedKeys }).keys;
}

/** What a reference daemon did with malformed or unexpected input. */
export interface RecordedError {
  case: string;
  dialect: Dialect;
  /** What the offender sent first; null where the recording does not have it. */
  sent: Buffer | null;
}

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
