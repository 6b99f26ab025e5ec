import type { Socket } from 'node:net';
import type { HandshakeFailure, Secured } from '@spanmesh/dmsg-socket/handshake/handshaker';
import { testKeys } from '@spanmesh/dmsg-socket/keys/keys.fixture';
import { keyPrincipal } from '@spanmesh/dmsg-socket/keys/principal';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import { LinkGatewayError, type ProxyFault } from '../gateway-error.ts';
import { TCP_KEEPALIVE_MS } from '../limits.ts';
import { GatewayMetrics } from '../metrics.ts';
import type { Peer } from '../peers/peer.ts';
import { accept } from './accept.ts';
import type { Admitted, NotAdmitted } from './admission.ts';
import type { ProxyHeader } from './proxy/proxy-header.ts';
import type { EntryDependencies } from './upgrade.ts';

const BALANCER = '10.0.0.1';
const KEY = testKeys().shown;
const PEER = {} as Peer;

let clock: FakeClock;
let metrics: GatewayMetrics;
/** What admission answers. */
let access: Admitted | NotAdmitted;
/** What the PROXY header gave. */
let proxied: ProxyHeader | LinkGatewayError<'proxy'> | 'full';
/** Ends the handshake that is under way. */
let shake: (result: Secured | HandshakeFailure) => void;
let deps: EntryDependencies;
let logs: boolean;
/** What the log has been told, by its level. */
let lines: Record<string, unknown>[];
/** What else the parts of the entrance were told, in order. */
let told: unknown[];

beforeEach(() => {
  clock = new FakeClock();
  metrics = new GatewayMetrics();
  access = { kind: 'plaintext', file: '' };
  logs = true;
  lines = [];
  told = [];
  const admit = (reason: string, ...of: string[]) => {
    told.push(['log', reason, ...of]);
    return { log: logs, suppressed: 2, others: of.length === 0 ? 0 : 3 };
  };
  deps = {
    clock,
    metrics,
    entrance: {
      proxied: {
        trusts: (address: string) => address === BALANCER,
        read: (_socket: Socket, done: (result: typeof proxied) => void) => done(proxied),
      },
      admission: {
        admit: (host: string) => {
          told.push(['admit', host]);
          return access;
        },
        release: (host: string) => told.push(['release', host]),
      },
      handshaker: {
        start: (_socket: Socket, host: string, _access: Admitted, done: typeof shake) => {
          told.push(['handshake', host]);
          shake = done;
        },
      },
      handshakesDone: 0,
      countFailed: (failure: string) => told.push(['failed', failure]),
    },
    peers: {
      connect: ({ remote, principal, cipher, origin }: never, dialect: unknown, rest: unknown) => {
        told.push({ remote, principal, isEncrypted: cipher !== null, origin, dialect, rest });
        return PEER;
      },
    },
    throttle: { admit },
    refusals: { admit },
    logger: {
      warn: (line: object) => lines.push({ level: 'warn', ...line }),
      error: (line: object) => lines.push({ level: 'error', ...line }),
    },
    shares: { connectionRefused: (...args: unknown[]) => told.push(['limited', ...args]) },
  } as unknown as EntryDependencies;
});

/** A socket that has come from there, and what was called on it. */
function socketFrom(remoteAddress: string | undefined, remotePort: number | undefined = 5000) {
  const calls: unknown[] = [];
  const socket = Object.fromEntries(
    ['setNoDelay', 'setKeepAlive', 'on', 'destroy'].map((name) => [
      name,
      (...args: unknown[]) => calls.push([name, ...args]),
    ]),
  );
  return { socket: { ...socket, remoteAddress, remotePort } as unknown as Socket, calls };
}

const DROPPED = [['on', 'error', expect.any(Function)], ['destroy']];

describe('a socket that is accepted', () => {
  it('becomes a plaintext connection of its address where admission says so', () => {
    const { socket, calls } = socketFrom('::ffff:192.0.2.1');
    accept(deps, socket, 'circuit');
    expect(told).toEqual([
      ['admit', '192.0.2.1'],
      {
        remote: { host: '192.0.2.1', port: 5000 },
        principal: '192.0.2.1',
        isEncrypted: false,
        origin: { kind: 'accepted' },
        dialect: 'circuit',
        rest: null,
      },
    ]);
    expect(calls).toEqual([
      ['setNoDelay', true],
      ['setKeepAlive', true, TCP_KEEPALIVE_MS],
    ]);
    expect([metrics.connectionsAccepted, lines]).toEqual([1, []]);
  });

  it('is dropped if it was reset before it was looked at', () => {
    const { socket, calls } = socketFrom(undefined);
    accept(deps, socket, null);
    expect([calls, metrics.refused.gone, metrics.connectionsAccepted, told]).toEqual([DROPPED, 1, 0, []]);
  });

  it('is dropped if admission refuses it; the refusal is counted, logged with advice, and reported', () => {
    access = { kind: 'refused', refusal: 'bad-key', file: 'remote/x.pub', why: 'it is empty' };
    const { socket, calls } = socketFrom('192.0.2.1');
    accept(deps, socket, null);
    expect([calls, metrics.refused['bad-key'], metrics.connectionsAccepted]).toEqual([DROPPED, 1, 0]);
    expect(told).toEqual([
      ['admit', '192.0.2.1'],
      ['log', 'bad-key remote/x.pub', '192.0.2.1'],
    ]);
    const advice = expect.stringMatching(/right file/);
    const said = { level: 'warn', peer: '192.0.2.1', refusal: 'bad-key', advice, suppressed: 2, others: 3 };
    expect(lines).toEqual([{ ...said, file: 'remote/x.pub', why: 'it is empty' }]);
    // A refusal without a file.
    access = { kind: 'refused', refusal: 'too-many' };
    accept(deps, socketFrom('192.0.2.1').socket, null);
    expect(told.slice(3)).toEqual([
      ['log', 'too-many ', '192.0.2.1'],
      ['limited', '192.0.2.1', 'total'],
    ]);
    expect(Object.keys(lines[1]!)).toEqual(['level', 'peer', 'refusal', 'advice', 'suppressed', 'others']);
    // Once an interval.
    logs = false;
    accept(deps, socketFrom('192.0.2.1').socket, null);
    expect([lines.length, told.length, metrics.refused['too-many']]).toEqual([2, 7, 2]);
  });
});

describe('a socket that needs a handshake', () => {
  beforeEach(() => {
    access = { kind: 'encrypted', peer: KEY, file: 'remote/x.pub' } as Admitted;
  });

  it('becomes an encrypted connection of its key, and its time is measured', () => {
    accept(deps, socketFrom('192.0.2.1').socket, null);
    expect([told, metrics.connectionsAccepted]).toEqual([
      [
        ['admit', '192.0.2.1'],
        ['handshake', '192.0.2.1'],
      ],
      0,
    ]);
    clock.advance(250);
    const rest = new Uint8Array(3);
    shake({ sealer: {}, opener: {}, rest } as unknown as Secured);
    expect(told[2]).toMatchObject({ principal: keyPrincipal(KEY), isEncrypted: true, dialect: null, rest });
    expect([metrics.connectionsAccepted, deps.entrance.handshakesDone]).toEqual([1, 1]);
    expect([metrics.handshake.count, metrics.handshake.sum]).toEqual([1, 0.25]);
  });

  it.each([
    [{ failure: 'timeout' }, { error: 'timeout', level: 'warn' }, /in time/],
    [{ failure: 'CRYPTO', check: 'replay' }, { error: 'CRYPTO', check: 'replay', level: 'warn' }, /played back/],
    [{ failure: 'CRYPTO' }, { error: 'CRYPTO', level: 'warn' }, /check that each side/],
    [{ failure: 'internal', err: 1 }, { error: 'internal', err: 1, level: 'error' }, /fault in this program/],
  ])('gives its place back and is logged if the handshake fails: %j', (failure, line, advice) => {
    accept(deps, socketFrom('192.0.2.1').socket, null);
    shake(failure);
    const { failure: name } = failure;
    expect(told.slice(2)).toEqual([
      ['release', '192.0.2.1'],
      ['failed', name],
      ['log', `handshake ${name} 192.0.2.1`],
    ]);
    expect([metrics.refused.handshake, metrics.connectionsAccepted]).toEqual([1, 0]);
    const about = { peer: '192.0.2.1', file: 'remote/x.pub', suppressed: 2 };
    expect(lines).toEqual([{ ...about, ...line, advice: expect.stringMatching(advice) }]);
    logs = false;
    shake(failure);
    expect(lines).toHaveLength(1);
  });

  it('is not logged if the gateway is stopping', () => {
    accept(deps, socketFrom('192.0.2.1').socket, null);
    shake({ failure: 'stopping' });
    expect([told.slice(2), lines]).toEqual([
      [
        ['release', '192.0.2.1'],
        ['failed', 'stopping'],
      ],
      [],
    ]);
  });
});

describe('a socket from a balancer', () => {
  const failed = (why: ProxyFault) => new LinkGatewayError('proxy', { why });

  it('is a connection of the address that its header names, or of the balancer itself', () => {
    proxied = { bytes: 28, source: { host: '192.0.2.7', port: 77 } };
    accept(deps, socketFrom(BALANCER).socket, 'linkid');
    proxied = { bytes: 16, source: null };
    accept(deps, socketFrom(BALANCER).socket, null);
    accept(deps, { ...socketFrom(BALANCER).socket, remotePort: undefined } as Socket, null);
    expect(told.filter((what) => !Array.isArray(what))).toMatchObject([
      { remote: { host: '192.0.2.7', port: 77 }, principal: '192.0.2.7', dialect: 'linkid' },
      { remote: { host: BALANCER, port: 5000 }, dialect: null },
      { remote: { host: BALANCER, port: 0 } },
    ]);
    expect(metrics.connectionsAccepted).toBe(3);
  });

  it('is counted, and not worth a line, if it sends nothing', () => {
    proxied = failed('empty');
    accept(deps, socketFrom(BALANCER).socket, null);
    expect([metrics.refused['proxy-header'], told, lines]).toEqual([1, [], []]);
  });

  it('is refused if its header is bad, or too many wait for theirs', () => {
    proxied = failed('signature');
    accept(deps, socketFrom(BALANCER).socket, null);
    proxied = 'full';
    accept(deps, socketFrom(BALANCER).socket, null);
    expect([metrics.refused['proxy-header'], metrics.refused['too-many-handshakes']]).toEqual([1, 1]);
    expect(lines).toMatchObject([
      { peer: BALANCER, refusal: 'proxy-header', why: 'signature' },
      { peer: BALANCER, refusal: 'too-many-handshakes' },
    ]);
    expect([metrics.connectionsAccepted, told.some((what) => !Array.isArray(what))]).toEqual([0, false]);
  });
});
