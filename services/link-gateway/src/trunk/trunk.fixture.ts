import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { DELETE } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { LinkGatewayError } from '../gateway-error.ts';
import type { RouteEnd, RouteSource, RouteTerminal, RouteTransaction } from '../routing/trunks.ts';
import type { Drain } from './credit.ts';
import { GatewayTrunks } from './gateway-trunks.ts';
import type { LocalDestinations } from './local-destinations.ts';
import type { AskForTrunk } from './open-trunk.ts';

/** A drain whose pressure the test sets. */
export class FakePressure implements Drain {
  isHigh = false;
  queuedBytes = 0;
  #waiting: (() => void)[] = [];

  onceLow(fn: () => void): void {
    if (this.isHigh) this.#waiting.push(fn);
    else fn();
  }

  low(): void {
    this.isHigh = false;
    for (const fn of this.#waiting.splice(0)) fn();
  }
}

/** A message, open or loss that came on a route. */
export interface Heard {
  readonly what: 'open' | 'message' | 'lost' | 'one-way';
  readonly tx: Transaction | null;
  readonly cmd: number;
  readonly error: number;
  readonly bytes: Buffer;
}

/**
 * Stands in for routing at one gateway, and records what comes. Link n is on connection 100 + n; links from 1000 on are
 * gone.
 */
export class FakeTerminal implements RouteTerminal, LocalDestinations {
  readonly opened: { route: RouteTransaction; link: number; dialect: Dialect; source: RouteSource | null }[] = [];
  readonly ended: Transaction[] = [];
  readonly heard: Heard[] = [];
  readonly pressures = new Map<number, FakePressure>();
  refuses = false;
  records = true;
  messages = 0;
  /** Called after each message has been recorded. */
  onMessage: (tx: Transaction, frame: Frame) => void = () => {};

  readonly handler: TransactionHandler = {
    onMessage: (tx, frame) => {
      this.#hear('message', tx, frame);
      this.onMessage(tx, frame);
    },
    onLost: (tx, error) => {
      this.heard.push({ what: 'lost', tx, cmd: 0, error, bytes: Buffer.alloc(0) });
    },
    onStacked: (_circuit, tx, frame) => this.#take(tx, frame),
    onOneWay: (_circuit, frame) => this.#hear('one-way', null, frame),
  };

  connectionOfLink(link: number): number {
    return link < 1000 ? 100 + link : 0;
  }

  pressureOfConnection(connection: number): FakePressure {
    let pressure = this.pressures.get(connection);
    if (pressure === undefined) {
      pressure = new FakePressure();
      this.pressures.set(connection, pressure);
    }
    return pressure;
  }

  routeOpened(route: RouteTransaction, link: number, dialect: Dialect, source: RouteSource | null): RouteEnd | null {
    if (this.refuses || link >= 1000) return null;
    this.opened.push({ route, link, dialect, source });
    return {
      opened: (tx, frame) => this.#take(tx, frame),
      heard: (frame) => this.#hear('one-way', null, frame),
      gone: () => this.routeEnded(route),
    };
  }

  routeEnded(route: Transaction): void {
    this.ended.push(route);
  }

  #take(tx: Transaction, frame: Frame): void {
    tx.handler = this.handler;
    this.#hear('open', tx, frame);
    this.onMessage(tx, frame);
  }

  #hear(what: Heard['what'], tx: Transaction | null, frame: Frame): void {
    this.messages++;
    if (!this.records) return;
    const { buf, off, headBytes, auxPadded, cmd, error } = frame;
    this.heard.push({ what, tx, cmd, error, bytes: Buffer.from(buf.subarray(off, off + headBytes + auxPadded)) });
  }
}

/** Drops a route, as its last user does. */
export function drop(route: RouteTransaction): void {
  route.data.drop(route);
}

/** A TCP proxy between the gateways, so that a test can cut or hold the bytes. */
export class Wire {
  readonly sockets: Socket[] = [];
  /** Bytes that may pass towards the listener before everything is cut; null: no cut. */
  cutAfter: number | null = null;
  passed = 0;
  #server: Server | null = null;
  port = 0;

  async start(target: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = netConnect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
      this.sockets.push(near, far);
      near.on('data', (chunk) => {
        this.passed += chunk.length;
        if (this.cutAfter !== null && this.passed >= this.cutAfter) {
          far.write(chunk.subarray(0, chunk.length - (this.passed - this.cutAfter)), () => far.destroy());
          near.destroy();
        } else far.write(chunk);
      });
      far.on('data', (chunk) => near.write(chunk));
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('end', () => other.end());
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.port = (server.address() as { port: number }).port;
  }

  pause(): void {
    for (const socket of this.sockets) socket.pause();
  }

  resume(): void {
    for (const socket of this.sockets) socket.resume();
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  stop(): void {
    this.cut();
    this.#server?.close();
  }
}

/** One gateway's trunks, with stand-ins for routing, topology and the OpenTrunk calls. */
export class TestGatewayEnd {
  id: string;
  readonly terminal = new FakeTerminal();
  /** The list of unreachable gateways at each call of `changed`. */
  readonly unreachable: string[][] = [];
  deadCalls = 0;
  readonly log: Record<string, unknown>[] = [];
  readonly trunks: GatewayTrunks;
  readonly flow: Flow = new Flow();
  /** The gateway that its OpenTrunk calls go to; null: they fail. */
  other: TestGatewayEnd | null = null;
  asked = 0;
  /** Awaited before each OpenTrunk call is delivered. */
  hold: Promise<void> = Promise.resolve();
  /** Jobs that end things wait in `ends` until the test runs them. */
  holdsEnds = false;
  readonly ends: EndingJob[] = [];
  /** The port that OpenTrunk's answers name instead of the real one. */
  port: number | null = null;

  constructor(id: string, clock: FakeClock, ask?: AskForTrunk, tls: TlsFiles | null = null) {
    this.id = id;
    const direct: AskForTrunk = async (_address, request) => {
      this.asked++;
      await this.hold;
      if (this.other === null) throw new LinkGatewayError('trunk', { why: 'unreachable' });
      const { address, token, version } = this.other.trunks.openTrunk(request);
      return { address: this.other.port === null ? address : `:${this.other.port}`, token, version };
    };
    this.trunks = new GatewayTrunks(
      { self: () => this.id, listen: { host: '127.0.0.1', port: 0 }, setting: 'SPANMESH_TRUNK_LISTEN' },
      {
        clock,
        logger: createLogger({
          level: 'debug',
          service: 'test',
          destination: { write: (line: string) => void this.log.push(JSON.parse(line)) },
        }),
        random: () => 0,
        destinations: this.terminal,
        flow: this.flow,
        inSlices: (_gateway, job) => {
          if (this.holdsEnds) this.ends.push(job);
          else void [...job];
        },
        limited: () => {},
        sendLimit: 16 * 1024 * 1024,
        changed: () => this.unreachable.push(this.trunks.state().unreachable),
        declaredDead: () => this.deadCalls++,
        ask: ask ?? direct,
        tls,
      },
    );
  }
}

/** Two gateways that know each other: A's id is the smaller. */
export class TestPair {
  readonly clock = new FakeClock();
  readonly a: TestGatewayEnd;
  readonly b: TestGatewayEnd;

  constructor() {
    this.a = new TestGatewayEnd('a.00000001', this.clock);
    this.b = new TestGatewayEnd('b.00000002', this.clock);
    this.a.other = this.b;
    this.b.other = this.a;
  }

  async start({ listed = true } = {}): Promise<this> {
    await this.a.trunks.start(this.a.terminal);
    await this.b.trunks.start(this.b.terminal);
    if (listed) this.list();
    return this;
  }

  list(): void {
    const all = [this.a, this.b].map(({ id }) => ({ gateway: id, serviceAddress: '127.0.0.1:1' }));
    this.a.trunks.listed(all);
    this.b.trunks.listed(all);
  }

  /** Puts a proxy before each trunk port. */
  async wired(): Promise<{ toA: Wire; toB: Wire }> {
    const wires = { toA: new Wire(), toB: new Wire() };
    const portOf = (end: TestGatewayEnd) =>
      Number(end.trunks.openTrunk({ from: 'c.00000003', to: end.id, version: 1 }).address.slice(1));
    await wires.toA.start(portOf(this.a));
    await wires.toB.start(portOf(this.b));
    this.a.port = wires.toA.port;
    this.b.port = wires.toB.port;
    return wires;
  }

  /** A's route to B's link. */
  route(link = 1, dialect: Dialect = 'circuit', source: RouteSource | null = null, destination = 0): RouteTransaction {
    const route = this.a.trunks.route({ gateway: this.b.id, number: link }, dialect, source, destination);
    if (route === null) throw new Error('no route');
    return route;
  }

  /** Runs the jobs that wait in `ends` on either side. */
  goOn(): void {
    for (const end of [this.a, this.b]) {
      end.holdsEnds = false;
      for (const job of end.ends.splice(0)) void [...job];
    }
  }

  async stop(): Promise<void> {
    this.a.other = null;
    this.b.other = null;
    const stopping = Promise.all([this.a.trunks.stop(), this.b.trunks.stop()]);
    this.clock.advance(60_000);
    await stopping;
  }
}

/** Waits some turns of the event loop, in which something unwanted could happen. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** True if the record is the end of a transaction. */
export function isEnd({ what, cmd }: Heard): boolean {
  return what === 'lost' || (cmd & DELETE) !== 0;
}

export const LOSTLINK: number = ErrorCode.LOSTLINK;
