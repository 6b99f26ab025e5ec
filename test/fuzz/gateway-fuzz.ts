import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { collectGarbage } from '@spanmesh/runtime/process/collect-garbage';
import { startStandalone } from '@spanmesh/standalone/standalone';
import type { Dialect } from '../peer/wire.ts';
import { Bystanders } from './bystanders.ts';
import { FAILURES, type FuzzOptions, type Outcome } from './fuzz.ts';
import { GatewaySession, type SessionPlace, type SessionRecord } from './gateway-session.ts';
import { Grower } from './grow.ts';
import { Random } from './random.ts';
import { recordedStreams } from './recordings.ts';

type Standalone = Awaited<ReturnType<typeof startStandalone>>;

/** Small limits and short times, so that sessions reach them. */
const SETTINGS: Record<string, string> = {
  SPANMESH_DMSG_LISTEN: 'linkid://127.0.0.1:0,circuit://127.0.0.1:0,127.0.0.1:0',
  SPANMESH_DIAL_ALLOW: '127.0.0.0/8:*',
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_LOG_LEVEL: 'error',
  SPANMESH_MAX_CONNECTIONS: '80',
  SPANMESH_MAX_LINKS_PER_CONNECTION: '12',
  SPANMESH_MAX_LNK_CONNS_PER_CONNECTION: '3',
  SPANMESH_MAX_TRANSACTIONS: '24',
  SPANMESH_SEND_LIMIT: '4194304',
  SPANMESH_RECEIVE_LIMIT: '65536',
  SPANMESH_DIALECT_TIMEOUT: '20ms',
  SPANMESH_SILENT_TIMEOUT: '1s',
  SPANMESH_STALL_TIMEOUT: '2s',
  SPANMESH_PROBE_TIMEOUT: '500ms',
  // How long the router's span for leafs remains at a bystander after the last leaf has gone.
  SPANMESH_ON_DEMAND_IDLE: '1s',
};

/** Sessions at a time. */
const CONCURRENCY = 48;
/** Sessions in a round, after which everything is checked. */
const ROUND = 500;
/**
 * Sessions after which memory use is stable: topology's history for watches (64 MiB) is full, and tables have their
 * sizes.
 */
const WARM_UP = 12_000;
/**
 * How much memory use may grow after that, in bytes. The size of the history varies by 30 MB; a leak of 500 bytes in
 * each session shows after 100,000 sessions.
 */
const MAX_GROWTH_BYTES = 48 * 1024 * 1024;
/** Recent sessions that are kept, to be written to a file with a finding. */
const REMEMBERED = 600;
/** Milliseconds within which the router must forget all peers that have gone. */
const IDLE_MS = 8_000;

/**
 * A whole router over TCP against hostile sessions, many at a time, with well-behaved peers among them. Oracles: no
 * exception escapes to the event loop; there are no internal errors; messages on a listener with a dialect are
 * well-formed; bystanders are served all the time; when all sessions are over the router's counts are the same as
 * before, and after many sessions so is its memory use.
 */
export async function fuzzGateway(options: FuzzOptions): Promise<Outcome> {
  const run = new GatewayRun(options);
  const start = performance.now();
  const problem = await run.go();
  if (problem !== null) run.keep(problem);
  const seconds = (performance.now() - start) / 1000;
  const { counts, sessions } = run;
  return {
    target: 'gateway',
    seed: options.seed,
    inputs: sessions,
    seconds,
    counts,
    findings: problem === null ? 0 : 1,
  };
}

/** One run against a router: starts it, sends sessions in rounds, and checks it after each round. */
class GatewayRun {
  readonly counts: Record<string, number> = { 'messages from the router': 0, bytes: 0, 'kilobytes grown': 0 };
  sessions = 0;
  readonly #options: FuzzOptions;
  readonly #grower = new Grower(recordedStreams());
  readonly #recent: SessionRecord[] = [];
  #thrown: Error | null = null;
  #open = 0;
  #roundDone: () => void = () => {};

  constructor(options: FuzzOptions) {
    this.#options = options;
  }

  /** Returns the finding, or null. */
  async go(): Promise<Error | null> {
    const onThrown = (error: unknown) => {
      this.#thrown ??= error instanceof Error ? error : new Error(String(error));
    };
    process.on('uncaughtException', onThrown);
    process.on('unhandledRejection', onThrown);
    const standalone = await startStandalone(SETTINGS);
    const pairs: Bystanders[] = [];
    try {
      for (const dialect of ['linkid', 'circuit'] as const) {
        pairs.push(await Bystanders.connect(dialect, portOf(standalone, dialect)));
      }
      await this.#rounds(standalone, pairs);
      return null;
    } catch (error) {
      return this.#thrown ?? (error as Error);
    } finally {
      for (const pair of pairs) pair.destroy();
      await standalone.stop();
      process.off('uncaughtException', onThrown);
      process.off('unhandledRejection', onThrown);
    }
  }

  /** Writes the sessions of the last rounds to a file, and reports that. */
  keep(problem: Error): void {
    mkdirSync(FAILURES, { recursive: true });
    const file = `${FAILURES}gateway-${this.#options.seed}-${this.sessions}.json`;
    const sessions = this.#recent.map((record) => ({
      ...record,
      sent: record.sent.map((bytes) => bytes.toString('hex')),
    }));
    writeFileSync(file, JSON.stringify(sessions, null, 1));
    this.#options.report(`gateway: FOUND, the sessions before it are in ${file}\n${problem.stack}`);
  }

  async #rounds(standalone: Standalone, pairs: readonly Bystanders[]): Promise<void> {
    const { runs = Number.POSITIVE_INFINITY, seconds = Number.POSITIVE_INFINITY } = this.#options;
    const until = performance.now() + seconds * 1000;
    const baseline = standalone.counts();
    let settled: number | null = null;
    while (this.sessions < runs && performance.now() < until) {
      await this.#round(standalone, Math.min(ROUND, runs - this.sessions), until);
      for (const pair of pairs) await pair.check();
      await becomesIdle(standalone, baseline);
      await this.#checkQuiet(standalone);
      if (this.sessions < WARM_UP) continue;
      if (settled === null) settled = memory();
      else if (this.sessions % (20 * ROUND) === 0) this.#checkMemory(settled);
    }
    if (settled !== null) this.#checkMemory(settled);
  }

  /** Runs sessions, CONCURRENCY at a time, until all are over. */
  async #round(standalone: Standalone, sessions: number, until: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = sessions;
    this.#roundDone = () => {
      while (left > 0 && this.#open < CONCURRENCY && performance.now() < until && this.#thrown === null) {
        left--;
        this.#start(standalone);
      }
      if (this.#open === 0) resolve();
    };
    this.#roundDone();
    await promise;
  }

  #start(standalone: Standalone): void {
    const index = this.sessions++;
    const random = new Random(this.#options.seed, index);
    const dialect: Dialect = random.oneIn(2) ? 'linkid' : 'circuit';
    const isFixed = !random.oneIn(4);
    const place: SessionPlace = { port: portOf(standalone, isFixed ? dialect : null), dialect, isFixed };
    this.#open++;
    const session = new GatewaySession(index, place, random, this.#grower, () => {
      this.#open--;
      this.counts['messages from the router']! += session.received;
      for (const { length } of session.record.sent) this.counts.bytes! += length;
      if (session.fault !== null)
        this.#thrown ??= new Error(`session ${index}: the router's bytes`, { cause: session.fault });
      this.#roundDone();
    });
    this.#recent.push(session.record);
    if (this.#recent.length > REMEMBERED) this.#recent.shift();
  }

  async #checkQuiet(standalone: Standalone): Promise<void> {
    if (this.#thrown !== null) throw this.#thrown;
    const metric = await metricsOf(standalone);
    this.counts['relays opened'] = metric('relays_opened_total');
    this.counts['transactions routed'] = metric('routed_transactions_total');
    this.counts['messages taken'] = metric('received_messages_total');
    if (metric('internal_errors_total') !== 0) throw new Error('internal errors');
  }

  #checkMemory(settled: number): void {
    const grown = memory() - settled;
    this.counts['kilobytes grown'] = Math.round(grown / 1024);
    if (grown > MAX_GROWTH_BYTES) throw new Error(`memory has grown by ${grown} bytes in ${this.sessions} sessions`);
  }
}

/** Sends recorded sessions again, one after the other, to a new router. @throws Error: the finding is repeated. */
export async function replayGateway(file: string): Promise<void> {
  const sessions = JSON.parse(readFileSync(file, 'utf8')) as { port: string; dialect: Dialect; sent: string[] }[];
  await sendSessions(
    sessions.map(({ port, dialect, sent }) => ({ isFixed: port === 'fixed', dialect, sent: sent.map(fromHex) })),
  );
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

/** A session for `sendSessions`. */
export interface WrittenSession {
  readonly isFixed: boolean;
  readonly dialect: Dialect;
  readonly sent: readonly Buffer[];
}

/** Sends sessions to a new router. @throws Error: an oracle fails. */
export async function sendSessions(sessions: readonly WrittenSession[]): Promise<void> {
  const standalone = await startStandalone(SETTINGS);
  try {
    const baseline = standalone.counts();
    for (const { isFixed, dialect, sent } of sessions) await send(portOf(standalone, isFixed ? dialect : null), sent);
    await becomesIdle(standalone, baseline);
    const metric = await metricsOf(standalone);
    if (metric('internal_errors_total') !== 0) throw new Error('internal errors');
  } finally {
    await standalone.stop();
  }
}

/** Reads the gateway's counters; the returned function finds one by the end of its name. */
async function metricsOf(standalone: Standalone): Promise<(name: string) => number> {
  const text = await (await fetch(`http://127.0.0.1:${standalone.httpPort}/metrics`)).text();
  return (name) => Number(new RegExp(`^spanmesh_gateway_${name} (\\d+)`, 'm').exec(text)?.[1]);
}

/** Sends chunks on one connection, until the router closes it or all are sent. */
function send(port: number, sent: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
    const next = (at: number): void => {
      if (socket.destroyed) return;
      if (at === sent.length) socket.end();
      else socket.write(sent[at]!, () => setTimeout(next, 5, at + 1));
    };
    socket.once('connect', () => next(0));
  });
}

async function becomesIdle(standalone: Standalone, baseline: Record<string, number>): Promise<void> {
  const giveUp = performance.now() + IDLE_MS;
  for (;;) {
    const counts = standalone.counts();
    if (Object.keys(baseline).every((key) => counts[key] === baseline[key])) return;
    if (performance.now() > giveUp) {
      throw new Error(`counts are ${JSON.stringify(counts)}, they were ${JSON.stringify(baseline)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Bytes in use after a garbage collection. */
function memory(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function portOf(standalone: Standalone, dialect: Dialect | null): number {
  return standalone.dmsg.find((one) => one.dialect === dialect)!.port;
}
