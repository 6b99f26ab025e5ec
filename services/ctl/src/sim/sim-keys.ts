import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { REPLAY_DEFAULTS, ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { type HandshakeFailure, Handshaker, type Secured } from '@spanmesh/dmsg-socket/handshake/handshaker';
import type { PeerRules } from '@spanmesh/dmsg-socket/keys/peer-rules';
import { systemClock } from '@spanmesh/runtime/clock';

/** Longest wait for the router's half of a handshake, in milliseconds. */
const HANDSHAKE_WAIT_MS = 10_000;

/**
 * The keys of simulated peers, one pair for all of them. The directory is the peers' own, and holds the router's key
 * under the router's address.
 */
export class SimKeys {
  readonly #rules: PeerRules;
  readonly #handshaker = new Handshaker(
    {
      timeoutMs: HANDSHAKE_WAIT_MS,
      total: Number.POSITIVE_INFINITY,
      perAddress: Number.POSITIVE_INFINITY,
      closesAtOnce: true,
    },
    {
      clock: systemClock,
      random: randomBytes,
      replays: new ReplayMemory(REPLAY_DEFAULTS, { clock: systemClock }),
      failures: null,
    },
  );

  constructor(rules: PeerRules) {
    this.#rules = rules;
  }

  /**
   * Does the handshake on a socket that has just connected, if the keys demand one. `done` is called once: with the
   * ciphers, the socket paused; null: plaintext; or with the reason of a failure in a few words, the socket destroyed.
   */
  secure(socket: Socket, done: (result: Secured | null | string) => void): void {
    const address = socket.remoteAddress ?? '';
    const access = this.#rules.of(address);
    if (access.kind === 'plaintext') {
      done(null);
    } else if (access.kind === 'refused') {
      socket.destroy();
      done(`no key for the router: ${access.why}`);
    } else {
      this.#handshaker.start(socket, address, access, (result) => {
        done('sealer' in result ? result : `the handshake failed: ${words(result)}`);
      });
    }
  }
}

function words({ failure, check }: HandshakeFailure): string {
  return typeof check === 'string' ? `${failure}, ${check}` : failure;
}
