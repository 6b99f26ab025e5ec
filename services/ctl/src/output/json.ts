import type { Writable } from 'node:stream';
import { write } from '../terminal.ts';
import { printableLabel } from './label.ts';
import { printableJson } from './printable.ts';

/** The generated functions of a message type that are used here. */
export interface JsonFns<T> {
  toJSON(message: T): unknown;
}

/** The API's enum fields, with the names of their zero values, which the generated code leaves out. */
const ENUM_ZERO: Readonly<Record<string, string>> = {
  dialect: 'DIALECT_UNSPECIFIED',
  origin: 'CONNECTION_ORIGIN_UNSPECIFIED',
  kind: 'CHANGE_KIND_UNSPECIFIED',
  reason: 'VERDICT_REASON_UNSPECIFIED',
  state: 'TARGET_STATE_UNSPECIFIED',
  role: 'REPLICA_ROLE_UNSPECIFIED',
};

/** Fields with labels of peers, which the API has as one character for each byte. */
const LABELS: ReadonlySet<string> = new Set(['label', 'peerLabel']);

/**
 * A message as protobuf JSON: lowerCamelCase names, 64-bit numbers as strings, enums by name. Fields with their default
 * value are included (`"dist": 0`): a reader with jq should not have to know which values are left out. Labels are
 * written as all commands print them and take them as arguments.
 */
export function protobufJson<T>(fns: JsonFns<T>, message: T): unknown {
  return withDefaults(message, fns.toJSON(message));
}

function withDefaults(message: unknown, json: unknown): unknown {
  if (Array.isArray(message))
    return message.map((item, i) => withDefaults(item, Array.isArray(json) ? json[i] : undefined));
  if (typeof message !== 'object' || message === null || message instanceof Date) return json;
  // In the JSON, bytes are base64.
  if (message instanceof Uint8Array) return json ?? '';
  const given = (json ?? {}) as Record<string, unknown>;
  const full: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    if (value === undefined) continue;
    if (typeof value === 'object') full[name] = withDefaults(value, given[name]);
    else if (typeof value === 'string' && LABELS.has(name)) full[name] = printableLabel(value);
    else full[name] = given[name] ?? defaultOf(name, value);
  }
  return full;
}

function defaultOf(name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value === 0) return ENUM_ZERO[name] ?? 0;
  return value;
}

/** Prints one document. */
export function writeJson(out: Writable, document: unknown): Promise<void> {
  return write(out, `${printableJson(JSON.stringify(document, null, 2))}\n`);
}

/** Prints one document on one line, for streams of them. */
export function writeJsonLine(out: Writable, document: unknown): Promise<void> {
  return write(out, `${printableJson(JSON.stringify(document))}\n`);
}
