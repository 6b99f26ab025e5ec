import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { PATIENCE_MS } from './raw-peer.ts';

/** Attributes of a span, or of the resource (process) that sent it. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/**
 * A span of a trace as a collector receives it (opentelemetry-proto, trace.proto: Span). Called a step here, since a
 * span is something else in DMSG.
 */
export interface ReceivedStep {
  traceId: string;
  id: string;
  /** Id of the parent; empty: the step begins its trace. */
  parent: string;
  name: string;
  /** 1: internal, 2: server, 3: client. */
  kind: number;
  /** Nanoseconds since 1970. */
  began: bigint;
  ended: bigint;
  attributes: Attributes;
  /** Names of the step's events. */
  events: string[];
  /** The status message if the step failed; empty: it did not. */
  failure: string;
  /** Attributes of the process that sent it. */
  resource: Attributes;
}

/** A collector that keeps the traces it receives: OTLP over HTTP, protobuf. */
export class OtlpReceiver {
  readonly steps: ReceivedStep[] = [];
  /** The different paths and content types of the requests. */
  readonly requests = new Set<string>();
  /** The status of its answers. With another status than 200 it keeps nothing. */
  status = 200;
  readonly #server: Server;
  readonly #events = new EventEmitter();

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(() => {
        response.writeHead(this.status, { 'Content-Type': 'application/x-protobuf' });
        response.end();
        this.#events.emit('steps');
      });
    });
  }

  static async start(): Promise<OtlpReceiver> {
    const made = new OtlpReceiver();
    made.#server.listen(0, '127.0.0.1');
    await once(made.#server, 'listening');
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Waits until `find` returns something for the received steps. */
  async until<T>(find: (steps: readonly ReceivedStep[]) => T | undefined, what: string): Promise<T> {
    const giveUp = AbortSignal.timeout(2 * PATIENCE_MS);
    for (;;) {
      const found = find(this.steps);
      if (found !== undefined) return found;
      await once(this.#events, 'steps', { signal: giveUp }).catch(() => {
        const seen = this.steps.map(({ name, parent }) => `${name}${parent === '' ? ' (root)' : ''}`).join(', ');
        throw new Error(`no ${what} among the steps: ${seen}`);
      });
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage): Promise<void> {
    this.requests.add(`${request.method} ${request.url} ${request.headers['content-type']}`);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    if (this.status !== 200) return;
    for (const resourceSpans of fields(Buffer.concat(parts)).bytes(1)) {
      const { attributes: resource } = attributesIn(fields(resourceSpans).bytes(1)[0] ?? new Uint8Array(), 1);
      for (const scopeSpans of fields(resourceSpans).bytes(2)) {
        for (const span of fields(scopeSpans).bytes(2)) this.steps.push(stepOf(span, resource));
      }
    }
  }
}

function stepOf(span: Uint8Array, resource: Attributes): ReceivedStep {
  const own = fields(span);
  const status = fields(own.bytes(15)[0] ?? new Uint8Array());
  return {
    traceId: hex(own.bytes(1)[0]),
    id: hex(own.bytes(2)[0]),
    parent: hex(own.bytes(4)[0]),
    name: own.text(5),
    kind: Number(own.number(6)),
    began: own.number(7),
    ended: own.number(8),
    attributes: attributesIn(span, 9).attributes,
    events: own.bytes(11).map((event) => fields(event).text(2)),
    failure: status.number(3) === 2n ? status.text(2) || 'failed' : '',
    resource,
  };
}

function attributesIn(message: Uint8Array, field: number): { attributes: Attributes } {
  const entries = fields(message)
    .bytes(field)
    .map((entry) => {
      const value = fields(fields(entry).bytes(2)[0] ?? new Uint8Array());
      return [fields(entry).text(1), value.has(1) ? value.text(1) : Number(value.number(3))] as const;
    });
  return { attributes: Object.fromEntries(entries) };
}

/** The fields of a protobuf message, by number. */
class Fields {
  readonly #bytes = new Map<number, Uint8Array[]>();
  readonly #numbers = new Map<number, bigint>();

  constructor(message: Uint8Array) {
    const reader = new BinaryReader(message);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (type === 2) this.#bytes.set(field, [...this.bytes(field), reader.bytes()]);
      else if (type === 1) this.#numbers.set(field, BigInt(reader.fixed64()));
      else if (type === 0) this.#numbers.set(field, BigInt(reader.uint64()));
      else reader.skip(type, field);
    }
  }

  has(field: number): boolean {
    return this.#bytes.has(field);
  }

  bytes(field: number): Uint8Array[] {
    return this.#bytes.get(field) ?? [];
  }

  text(field: number): string {
    return Buffer.from(this.bytes(field)[0] ?? []).toString('utf8');
  }

  number(field: number): bigint {
    return this.#numbers.get(field) ?? 0n;
  }
}

function fields(message: Uint8Array): Fields {
  return new Fields(message);
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex');
}
