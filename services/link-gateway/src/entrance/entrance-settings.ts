import { parsePrefix } from '@spanmesh/dmsg-socket/address/prefix';
import {
  DEFAULT_FAILED_HANDSHAKES_PER_ADDRESS,
  DEFAULT_FAILED_HANDSHAKES_PER_KEY,
  DEFAULT_MAX_HANDSHAKES,
  DEFAULT_MAX_HANDSHAKES_PER_ADDRESS,
} from '@spanmesh/dmsg-socket/handshake/limits';
import { setting } from '@spanmesh/runtime/settings/setting';
import { duration, integer, list, text } from '@spanmesh/runtime/settings/setting-types';
import { parseDialRule } from '../address/dial-rule.ts';

const positive = { min: 1, max: 2 ** 31 };

/** Settings of the entrance: which peers get in, and how. */
export const entranceSettings = {
  keysDir: setting({
    env: 'SPANMESH_KEYS_DIR',
    flag: '--keys-dir',
    default: '',
    describe: 'Directory of keys, as docs/security.md has it; empty: plaintext, and from this host only.',
    parse: text({ max: 4096 }),
  }),
  handshakeTimeout: setting({
    env: 'SPANMESH_HANDSHAKE_TIMEOUT',
    flag: '--handshake-timeout',
    default: '10s',
    describe:
      'How long the handshake of an encrypted connection, or a PROXY header, may take; one that fails is closed when it is over.',
    parse: duration({ min: 1 }),
  }),
  messageTimeout: setting({
    env: 'SPANMESH_MESSAGE_TIMEOUT',
    flag: '--message-timeout',
    default: '30s',
    describe: 'A peer that has begun a message and not finished it for this long is closed.',
    parse: duration({ min: 1 }),
  }),
  maxHandshakes: setting({
    env: 'SPANMESH_MAX_HANDSHAKES',
    flag: '--max-handshakes',
    default: String(DEFAULT_MAX_HANDSHAKES),
    describe: 'Most handshakes that are under way at a time.',
    parse: integer(positive),
  }),
  maxHandshakesPerAddress: setting({
    env: 'SPANMESH_MAX_HANDSHAKES_PER_ADDRESS',
    flag: '--max-handshakes-per-address',
    default: String(DEFAULT_MAX_HANDSHAKES_PER_ADDRESS),
    describe: 'Most handshakes with one address that are under way at a time.',
    parse: integer(positive),
  }),
  failedHandshakesPerAddress: setting({
    env: 'SPANMESH_FAILED_HANDSHAKES_PER_ADDRESS',
    flag: '--failed-handshakes-per-address',
    default: String(DEFAULT_FAILED_HANDSHAKES_PER_ADDRESS),
    describe:
      'Handshakes of one address (IPv6: one /64) that may fail in five minutes; then it is refused for a while.',
    parse: integer(positive),
  }),
  failedHandshakesPerKey: setting({
    env: 'SPANMESH_FAILED_HANDSHAKES_PER_KEY',
    flag: '--failed-handshakes-per-key',
    default: String(DEFAULT_FAILED_HANDSHAKES_PER_KEY),
    describe: 'The same for all addresses that the key of one peer is for.',
    parse: integer(positive),
  }),
  proxyProtocolFrom: setting({
    env: 'SPANMESH_PROXY_PROTOCOL_FROM',
    flag: '--proxy-protocol-from',
    default: '',
    describe:
      'Balancers whose connections must begin with a PROXY protocol v2 header: comma-separated addresses or prefixes.',
    parse: list(parsePrefix, { max: 256 }),
  }),
  dialAllow: setting({
    env: 'SPANMESH_DIAL_ALLOW',
    flag: '--dial-allow',
    default: '',
    describe:
      "Where peers may have this gateway connect to (LNK_VOLCONF, the shell's span), besides port 987 of all but this host: comma-separated PREFIX:PORT, [PREFIX]:PORT (IPv6) or *:PORT, port * for any.",
    parse: list(parseDialRule, { max: 256 }),
  }),
};
