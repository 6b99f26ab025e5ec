import { readFileSync } from 'node:fs';
import { type DialectRules, rulesOf } from '@spanmesh/dmsg/dialect';
import { captureNames, loadCapture, loadErrors } from '../peer/capture.ts';

/** The messages of one side of a recorded connection, from which inputs are made. */
export interface RecordedStream {
  readonly name: string;
  readonly rules: DialectRules;
  readonly fromClient: boolean;
  readonly messages: readonly Uint8Array[];
}

/**
 * Both directions of every connection of every recording, and the bytes of each faulty peer in `errors` (in one piece
 * each).
 */
export function recordedStreams(): RecordedStream[] {
  const streams: RecordedStream[] = [];
  for (const name of captureNames()) {
    const { dialect, entries } = loadCapture(name);
    const sides = new Map<string, Uint8Array[]>();
    for (const entry of entries) {
      if (entry.kind !== 'message') continue;
      const key = `${entry.conn} ${entry.fromClient ? 'client' : 'daemon'}`;
      const messages = sides.get(key) ?? [];
      messages.push(entry.bytes);
      sides.set(key, messages);
    }
    for (const [key, messages] of sides) {
      const fromClient = key.endsWith('client');
      streams.push({ name: `${name} ${key}`, rules: rulesOf(dialect), fromClient, messages });
    }
  }
  for (const { case: name, dialect, sent } of loadErrors()) {
    if (sent === null || sent.length === 0) continue;
    streams.push({ name: `errors ${name}`, rules: rulesOf(dialect), fromClient: true, messages: [sent] });
  }
  return streams;
}

/** The two key pairs of a recorded encrypted session, as PEM. */
export interface RecordedKeys {
  readonly daemonPrivate: string;
  readonly daemonPublic: string;
  readonly clientPrivate: string;
  readonly clientPublic: string;
}

export interface RecordedHandshake {
  readonly keys: RecordedKeys;
  /** The client's 512 bytes before encryption, and as sent. */
  readonly clientPlain: Uint8Array;
  readonly clientWire: Uint8Array;
}

export function recordedHandshake(): RecordedHandshake {
  const file = new URL('../data/captures/v1-7-encrypted.json', import.meta.url);
  const session = JSON.parse(readFileSync(file, 'utf8')) as {
    keys: RecordedKeys;
    handshakes: { A: { clientPlain: string } };
    entries: { conn?: string; from?: string; wire?: string; hex?: string }[];
  };
  const wire = session.entries.filter(
    ({ conn, from, wire }) => conn === 'A' && from === 'client' && wire?.startsWith('handshake') === true,
  );
  return {
    keys: session.keys,
    clientPlain: Buffer.from(session.handshakes.A.clientPlain, 'hex'),
    clientWire: Buffer.concat(wire.map(({ hex }) => Buffer.from(hex!, 'hex'))),
  };
}
