import { setting } from '@spanmesh/runtime/settings/setting';
import { integer } from '@spanmesh/runtime/settings/setting-types';
import {
  DEFAULT_MAX_LINKS,
  DEFAULT_MAX_LNK_CONNS,
  DEFAULT_MAX_OPEN_TRANSACTIONS,
  DEFAULT_MAX_RELAYS,
  DEFAULT_RECEIVE_LIMIT_BYTES,
  DEFAULT_SEND_TOTAL_BYTES,
  DEFAULT_SHARE_PERCENT,
} from './limits.ts';

const positive = { min: 1, max: 2 ** 31 };
const bytes = { min: 4096, max: 2 ** 40 };

/** Settings of what all peers of a gateway may hold together, and one principal of it. */
export const shareSettings = {
  totalLinks: setting({
    env: 'SPANMESH_MAX_LINKS',
    flag: '--max-links',
    default: String(DEFAULT_MAX_LINKS),
    describe: 'Most LNK_SPANs that all peers of a gateway may have open.',
    parse: integer(positive),
  }),
  totalLnkConns: setting({
    env: 'SPANMESH_MAX_LNK_CONNS',
    flag: '--max-lnk-conns',
    default: String(DEFAULT_MAX_LNK_CONNS),
    describe: 'Most LNK_CONNs that all peers of a gateway may have open.',
    parse: integer(positive),
  }),
  totalRelays: setting({
    env: 'SPANMESH_MAX_RELAYS',
    flag: '--max-relays',
    default: String(DEFAULT_MAX_RELAYS),
    describe: 'Most relays that a gateway may have open.',
    parse: integer(positive),
  }),
  totalTransactions: setting({
    env: 'SPANMESH_MAX_OPEN_TRANSACTIONS',
    flag: '--max-open-transactions',
    default: String(DEFAULT_MAX_OPEN_TRANSACTIONS),
    describe: 'Most transactions that all peers of a gateway may have open, LNK_SPANs included.',
    parse: integer(positive),
  }),
  receiveLimit: setting({
    env: 'SPANMESH_RECEIVE_LIMIT',
    flag: '--receive-limit',
    default: String(DEFAULT_RECEIVE_LIMIT_BYTES),
    describe: 'Most bytes of half-received messages of all connections together.',
    parse: integer(bytes),
  }),
  sendTotal: setting({
    env: 'SPANMESH_SEND_TOTAL',
    flag: '--send-total',
    default: String(DEFAULT_SEND_TOTAL_BYTES),
    describe: 'Most bytes that may wait for all peers together.',
    parse: integer(bytes),
  }),
  sharePercent: setting({
    env: 'SPANMESH_SHARE',
    flag: '--share',
    default: String(DEFAULT_SHARE_PERCENT),
    describe:
      'Percent of each total that one principal may hold: a key, or where there is none an address (IPv6: a /64). 100: all of it.',
    parse: integer({ min: 1, max: 100 }),
  }),
};
