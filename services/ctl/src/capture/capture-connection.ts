import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { dialectOf } from '@spanmesh/proto/dialect';
import { type Connection, ConnectionOrigin } from '@spanmesh/proto/v1/types';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { printableLabel } from '../output/label.ts';
import { printable } from '../output/printable.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { count } from '../views/words.ts';
import { CaptureFile } from './capture-file.ts';

export interface CaptureQuery {
  readonly connection: string;
  /** Most messages; 0: no limit. */
  readonly count: number;
  /** Longest time, milliseconds; 0: as long as the gateway allows. */
  readonly durationMs: number;
  /** Most bytes of each message; 0: all. */
  readonly snaplen: number;
  /** Path of the file; undefined: standard output. */
  readonly out?: string | undefined;
  /** Ends the capture in order. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the messages of a connection as a pcapng file, until a limit is reached, the connection ends or the signal is
 * aborted.
 * @throws Failure
 */
export async function captureConnection(query: CaptureQuery, options: ApiOptions, terminal: Terminal): Promise<void> {
  if (query.out === undefined && 'isTTY' in terminal.out && terminal.out.isTTY === true) {
    throw new Failure('usage', 'a capture is no text: give --out FILE, or send it elsewhere with > or |');
  }
  const api = new TopologyApi(options);
  try {
    await follow(query, { api, terminal });
  } finally {
    api.close();
  }
}

async function follow(query: CaptureQuery, { api, terminal }: { api: TopologyApi; terminal: Terminal }): Promise<void> {
  const { out, signal, ...request } = query;
  let file: CaptureFile | null = null;
  let stream: Writable = terminal.out;
  let messages = 0;
  let dropped = 0;
  let ended = 'stopped';
  try {
    for await (const { connection, captured } of api.capture(request, signal)) {
      if (file === null) {
        if (connection === undefined)
          throw new Failure('refused', `no answer about ${printableLabel(query.connection)}`);
        // The file is created only when there is something to write.
        if (out !== undefined) stream = await created(out);
        file = new CaptureFile(describe(connection));
        await write(stream, file.head);
        note(terminal, `capturing ${printable(connection.id)}, peer ${printable(connection.remoteAddress)}`);
      }
      for (const message of captured?.messages ?? []) await write(stream, file.packets(message));
      messages += captured?.messages.length ?? 0;
      dropped = captured?.dropped ?? dropped;
      ended = captured?.ended || ended;
    }
  } finally {
    if (stream !== terminal.out) {
      stream.end();
      await finished(stream);
    }
  }
  note(terminal, `${count(messages, 'message')} captured, ${dropped} dropped: ${printable(ended)}`);
}

/** A new file that only its owner can read: it will hold messages of peers. */
async function created(path: string): Promise<Writable> {
  const stream = createWriteStream(path, { mode: 0o600 });
  return new Promise((resolve, reject) => {
    stream.once('open', () => resolve(stream));
    stream.once('error', (error) =>
      reject(new Failure('usage', `cannot write ${printable(path)}: ${fileTrouble(error)}`, { cause: error })),
    );
  });
}

function describe({ id, dialect, localAddress, remoteAddress, origin, lnkConns }: Connection) {
  return {
    id,
    dialect: dialectOf(dialect) ?? ('circuit' as const),
    local: localAddress,
    remote: remoteAddress,
    dialled: origin !== ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED,
    gatewayName: id.replace(/:\d+$/, ''),
    peerName: printableLabel(lnkConns[0]?.label ?? ''),
  };
}
