import type { Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { HandshakeFailure } from '@spanmesh/dmsg-socket/handshake/handshaker';
import { keyPrincipal, principalOf } from '@spanmesh/dmsg-socket/keys/principal';
import type { HostPort } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';
import type { PoolBound } from '@spanmesh/runtime/shares/pool';
import { peerAddress } from '../address/peer-address.ts';
import type { ConnectionStart } from '../connection/connection-start.ts';
import type { Origin } from '../connection/origin.ts';
import { TCP_KEEPALIVE_MS } from '../limits.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { Peer } from '../peers/peer.ts';
import type { Peers } from '../peers/peers.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';
import type { Admitted, NotAdmitted, Refusal } from './admission.ts';
import type { Entrance } from './entrance.ts';
import type { RefusalLog } from './refusal-log.ts';

/** What an operator can do about a refused connection. */
const ADVICE: Readonly<Record<Refusal, string>> = {
  'not-loopback': 'only peers on this host may connect without keys; set SPANMESH_KEYS_DIR and see docs/security.md',
  'no-key':
    'put the public key of the peer into remote/ADDRESS.pub of the keys directory, or allow plaintext by remote/ADDRESS.none',
  'bad-key': 'put the right file in its place; spanmesh keys check ADDRESS shows what is wrong with it',
  'no-own-key':
    'make a key pair with spanmesh keys init, or put the right rsa.prv in its place, readable for its owner only',
  revoked: 'none: a .refused file of the keys directory keeps the peer out; take it away to let the peer in',
  'key-withdrawn':
    'put remote/ADDRESS.refused there to keep the peer out for good, or remote/ADDRESS.none to allow plaintext',
  'too-many': 'raise the limit of connections if this many are expected',
  'too-many-from-address': 'raise the limit of connections per address if this many are expected',
  'too-many-handshakes': 'raise the limit of handshakes if this many peers connect at a time',
  'too-many-handshakes-from-address': 'raise the limit of handshakes per address if this many are expected',
  'file-descriptors': 'raise the limit of open files of this process (ulimit -n, LimitNOFILE)',
  'too-many-failed-handshakes-of-address':
    'check the keys of both sides, and what connects from there; it may try again in a few seconds',
  'too-many-failed-handshakes-with-key':
    'check the keys of both sides, and what connects from the addresses that the file names',
  handshake: 'check that each side has the present public key of the other, and what connects there',
  'proxy-header': 'let the balancer send PROXY protocol version 2, or correct SPANMESH_PROXY_PROTOCOL_FROM',
  gone: 'none: the peer had hung up before it was looked at',
  stopping: 'the gateway is stopping',
};

/** What an operator can do about a failed handshake, by the failure; the others have the advice of `handshake`. */
const HANDSHAKE_ADVICE: Readonly<Record<string, string>> = {
  timeout: 'the peer did not send its half in time: it may have no key of ours, or speak plaintext',
  closed: 'the peer closed: it may have no key, or another key, for us, or speak plaintext',
  limited: 'too many before it have failed with this address or key; it was not read',
  internal: 'a fault in this program; please report it with this line',
};
/** What an operator can do about a handshake that failed a check, by the check. */
const CHECK_ADVICE: Readonly<Record<string, string>> = {
  replay: 'a recorded handshake was played back; somebody on the way is trying (docs/security.md)',
  forwarded: 'it was made for another router, which has passed it on: do not trust that router (docs/security.md)',
  unbound: 'the peer does not name our key, and its .bound file says that it must: it is no spanmesh, or was passed on',
};

/** Called with the outcome for a socket: a peer, or why it was refused; `failure`: that of the handshake. */
type Done = (result: Peer | Refusal, failure?: HandshakeFailure) => void;

/** What decides which sockets become connections, and what makes peers of those. */
export interface EntryDependencies {
  readonly entrance: Entrance;
  readonly peers: Pick<Peers, 'connect'>;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'now'>;
  readonly throttle: Throttle;
  readonly refusals: RefusalLog;
  readonly shares: Pick<GatewayShares, 'connectionRefused' | 'limited'>;
}

/** A connected socket that is to become a connection. */
export interface Arrival {
  readonly socket: Socket;
  /** null: the peer's first messages tell. */
  readonly dialect: Dialect | null;
  readonly origin: Origin;
  /** The peer's address and port, if the peer has connected through a balancer. */
  readonly remote?: HostPort;
}

/**
 * Makes a connected socket, accepted or dialled, a connection, after a handshake if the keys want one; or closes it and
 * says why in the log. `done` is called once, at once where there is no handshake.
 */
export function upgrade(deps: EntryDependencies, arrival: Arrival, done: Done): void {
  const { socket } = arrival;
  const host = peerAddress(arrival.remote?.host ?? socket.remoteAddress ?? '');
  const remote = { host, port: arrival.remote?.port ?? socket.remotePort ?? 0 };
  const access = deps.entrance.admission.admit(host);
  if (access.kind === 'refused') {
    dropSocket(socket);
    refuse(deps, remote, access);
    done(access.refusal);
    return;
  }
  socket.setNoDelay(true);
  socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
  if (access.kind === 'plaintext')
    done(connect(deps, arrival, { remote, principal: principalOf(host, access), cipher: null }, null));
  else handshake(deps, arrival, remote, access, done);
}

/** Closes a socket that is not wanted. */
export function dropSocket(socket: Socket): void {
  // An error without a listener would be an uncaught exception.
  socket.on('error', () => {});
  socket.destroy();
}

type RefusalDependencies = Pick<EntryDependencies, 'metrics' | 'logger' | 'refusals' | 'shares'>;

/** Which bound of connections in all a refusal is for. */
const BOUNDS: Readonly<Partial<Record<Refusal, PoolBound>>> = {
  'too-many': 'total',
  'too-many-from-address': 'share',
};

/** Counts a refusal, and logs it once an interval for each principal. */
export function refuse(deps: RefusalDependencies, remote: HostPort, { refusal, file, why }: NotAdmitted): void {
  deps.metrics.refused[refusal]++;
  const principal = addressPrincipal(remote.host);
  const { log, suppressed, others } = deps.refusals.admit(`${refusal} ${file ?? ''}`, principal);
  if (!log) return;
  const bound = BOUNDS[refusal];
  if (bound !== undefined) deps.shares.connectionRefused(principal, bound);
  const about = { ...(file && { file }), ...(why !== undefined && { why }) };
  const heldBack = { suppressed, ...(others > 0 && { others }) };
  deps.logger.warn(
    { peer: remote.host, refusal, ...about, advice: ADVICE[refusal], ...heldBack },
    'connection refused',
  );
}

/** Makes a connection after a handshake. A failed one is released, counted and logged. */
function handshake(
  deps: EntryDependencies,
  arrival: Arrival,
  remote: HostPort,
  access: Extract<Admitted, { kind: 'encrypted' }>,
  done: Done,
): void {
  const { entrance, clock, metrics } = deps;
  const began = clock.now();
  entrance.handshaker.start(arrival.socket, remote.host, access, (result) => {
    if ('sealer' in result) {
      entrance.handshakesDone++;
      metrics.handshake.observe((clock.now() - began) / 1000);
      const who = { remote, principal: keyPrincipal(access.peer), cipher: result };
      done(connect(deps, arrival, who, result.rest));
      return;
    }
    entrance.admission.release(remote.host);
    entrance.countFailed(result.failure);
    deps.metrics.refused.handshake++;
    logFailure(deps, remote, access.file, result);
    done('handshake', result);
  });
}

function connect(
  { peers }: EntryDependencies,
  { socket, dialect, origin }: Arrival,
  who: Pick<ConnectionStart, 'remote' | 'principal' | 'cipher'>,
  rest: Uint8Array | null,
): Peer {
  return peers.connect({ socket, origin, ...who }, dialect, rest);
}

/** Logs a failed handshake: the same failure of an address once an interval. */
function logFailure(
  deps: EntryDependencies,
  remote: HostPort,
  file: string,
  { failure, check, err }: HandshakeFailure,
): void {
  if (failure === 'stopping') return;
  const { log, suppressed } = deps.throttle.admit(`handshake ${failure} ${remote.host}`);
  if (!log) return;
  const advice = CHECK_ADVICE[String(check)] ?? HANDSHAKE_ADVICE[failure] ?? ADVICE.handshake;
  const line = { peer: remote.host, error: failure, ...(check !== undefined && { check }), file, advice, suppressed };
  if (err === undefined) deps.logger.warn(line, 'handshake failed, connection closed');
  else deps.logger.error({ ...line, err }, 'handshake failed, connection closed');
}
