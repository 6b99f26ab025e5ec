import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';

const HEADER_BYTES = 12;
const TYPE_A = 1;
const NXDOMAIN = 3;
/** In an answer: a pointer to the name of the question (RFC 1035, 4.1.4). */
const NAME_OF_QUESTION = 0xc00c;

/** What a name server knows of each name: IPv4 addresses, or that the name does not exist. */
export type Zone = Readonly<Record<string, readonly string[] | 'absent'>>;

/** A name server on UDP that answers for some names and is silent about all others. */
export class NameServer {
  /** Names that it was asked for, in order, each once. */
  readonly asked: string[] = [];
  readonly ttl = 30;
  readonly #socket: Socket = createSocket('udp4');
  readonly #zone: Zone;

  private constructor(zone: Zone) {
    this.#zone = zone;
    this.#socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer !== null) this.#socket.send(answer, port, address);
    });
  }

  static async start(zone: Zone): Promise<NameServer> {
    const made = new NameServer(zone);
    made.#socket.bind(0, '127.0.0.1');
    await once(made.#socket, 'listening');
    return made;
  }

  /** `address:port` */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  stop(): void {
    this.#socket.close();
  }

  /** Resolves when it has been asked for something. */
  async heard(): Promise<void> {
    await once(this.#socket, 'message');
  }

  #answer(query: Buffer): Buffer | null {
    const { name, end } = nameAt(query, HEADER_BYTES);
    if (!this.asked.includes(name)) this.asked.push(name);
    const known = Object.hasOwn(this.#zone, name) ? this.#zone[name] : undefined;
    if (known === undefined) return null;
    const isA = query.readUInt16BE(end) === TYPE_A;
    const addresses = known === 'absent' || !isA ? [] : known.filter(isIPv4);
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (known === 'absent' ? NXDOMAIN : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    return Buffer.concat([header, query.subarray(HEADER_BYTES, end + 4), ...addresses.map((one) => this.#record(one))]);
  }

  #record(address: string): Buffer {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(NAME_OF_QUESTION, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(this.ttl, 6);
    record.writeUInt16BE(4, 10);
    record.set(address.split('.').map(Number), 12);
    return record;
  }
}

/** The name whose labels begin at `at`, and the offset behind them. */
function nameAt(message: Buffer, at: number): { name: string; end: number } {
  const labels: string[] = [];
  let end = at;
  for (let length = message[end]!; length > 0; length = message[end]!) {
    labels.push(message.toString('latin1', end + 1, end + 1 + length).toLowerCase());
    end += 1 + length;
  }
  return { name: labels.join('.'), end: end + 1 };
}
