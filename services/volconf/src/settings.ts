import { type SettingValues, setting } from '@spanmesh/runtime/settings/setting';
import { duration, integer, oneOf, text } from '@spanmesh/runtime/settings/setting-types';
import { DEFAULT_MAX_DIALS, DEFAULT_MAX_SLOTS } from './limits.ts';

/** The settings of volconf. */
export const settings = {
  volconfPolicy: setting({
    env: 'SPANMESH_VOLCONF_POLICY',
    flag: '--volconf-policy',
    default: 'all',
    describe:
      'Which slots of a volume are kept connected: all, or priority (of those of one cluster the best, a worse one while it is down).',
    parse: oneOf(['all', 'priority']),
  }),
  autoconnFile: setting({
    env: 'SPANMESH_AUTOCONN_FILE',
    flag: '--autoconn-file',
    default: '',
    describe:
      "The original's file of hosts to stay connected to, /etc/hammer2/autoconn: the first word of each line; watched. The same for every replica. Empty: none.",
    parse: text({ max: 4096 }),
  }),
  volconfPort: setting({
    env: 'SPANMESH_VOLCONF_PORT',
    flag: '--volconf-port',
    default: '987',
    describe: 'TCP port of targets that name none.',
    parse: integer({ min: 1, max: 65535 }),
  }),
  volconfConnectTimeout: setting({
    env: 'SPANMESH_VOLCONF_CONNECT_TIMEOUT',
    flag: '--volconf-connect-timeout',
    default: '5s',
    describe: 'How long looking up and connecting to a target may take.',
    parse: duration({ min: 1, max: 600_000 }),
  }),
  volconfAnswerTimeout: setting({
    env: 'SPANMESH_VOLCONF_ANSWER_TIMEOUT',
    flag: '--volconf-answer-timeout',
    default: '10s',
    describe: 'How long a target may take to answer our LNK_CONN once connected; 0: it need not answer.',
    parse: duration({ max: 600_000 }),
  }),
  volconfRetryFirst: setting({
    env: 'SPANMESH_VOLCONF_RETRY_FIRST',
    flag: '--volconf-retry-first',
    default: '1s',
    describe:
      'Pause before a target is tried again; doubled each time it fails, and shortened by up to a quarter at random.',
    parse: duration({ min: 1 }),
  }),
  volconfRetryMax: setting({
    env: 'SPANMESH_VOLCONF_RETRY_MAX',
    flag: '--volconf-retry-max',
    default: '60s',
    describe: 'Longest pause before a target is tried again.',
    parse: duration({ min: 1 }),
  }),
  volconfStableAfter: setting({
    env: 'SPANMESH_VOLCONF_STABLE_AFTER',
    flag: '--volconf-stable-after',
    default: '60s',
    describe: 'A connection that has stood for this long and is lost is tried again as if it had never failed.',
    parse: duration(),
  }),
  volconfMaxDials: setting({
    env: 'SPANMESH_VOLCONF_MAX_DIALS',
    flag: '--volconf-max-dials',
    default: String(DEFAULT_MAX_DIALS),
    describe: 'Most targets that are being connected to at a time.',
    parse: integer({ min: 1, max: 100_000 }),
  }),
  volconfMaxSlots: setting({
    env: 'SPANMESH_VOLCONF_MAX_SLOTS',
    flag: '--volconf-max-slots',
    default: String(DEFAULT_MAX_SLOTS),
    describe:
      'Most slots, of all volumes together. When they are taken, the peer with most gives way to one with fewer; others are reported and ignored.',
    parse: integer({ min: 1, max: 10_000_000 }),
  }),
  volconfLeaseTtl: setting({
    env: 'SPANMESH_VOLCONF_LEASE_TTL',
    flag: '--volconf-lease-ttl',
    default: '2s',
    describe: 'How long a volconf leader that has gone silent is waited for; the same for every replica.',
    parse: duration({ min: 400, max: 60_000 }),
  }),
} as const;

/** What `readSettings(settings, …)` returns. */
export type VolconfSettings = SettingValues<typeof settings>;
