import { createHash } from 'node:crypto';
import { installationSetting } from '@spanmesh/runtime/settings/installation-setting';
import { setting } from '@spanmesh/runtime/settings/setting';
import { duration, integer, optional } from '@spanmesh/runtime/settings/setting-types';
import type { Widths } from '@spanmesh/spantree/tree';

/** Most links of a node that can be relayed to one LNK_CONN. */
const MAX_WIDTH = 64;
const MAX_U32 = 2 ** 32 - 1;

/** The settings of topology. */
export const settings = {
  linkidWidth: setting({
    env: 'SPANMESH_LINKID_WIDTH',
    flag: '--linkid-width',
    default: '2',
    describe: 'Links of one node that are relayed to one LNK_CONN of the linkid dialect, at most.',
    parse: integer({ min: 1, max: MAX_WIDTH }),
  }),
  circuitWidth: setting({
    env: 'SPANMESH_CIRCUIT_WIDTH',
    flag: '--circuit-width',
    default: '1',
    describe: 'Links of one node that are relayed to one LNK_CONN of the circuit dialect, at most.',
    parse: integer({ min: 1, max: MAX_WIDTH }),
  }),
  ...installationSetting,
  rnss: setting({
    env: 'SPANMESH_RNSS',
    flag: '--rnss',
    default: '',
    describe:
      'What relays add to rnss (circuit), 0 to 4294967295, the same for every replica; empty: derived from the name of the installation.',
    parse: optional(integer({ min: 0, max: MAX_U32 })),
  }),
  leaseTtlMs: setting({
    env: 'SPANMESH_LEASE_TTL',
    flag: '--lease-ttl',
    default: '2s',
    describe: 'How long a topology leader that has gone silent is waited for; the same for every replica.',
    parse: duration({ min: 400, max: 60_000 }),
  }),
} as const;

export interface TopologySettings {
  readonly linkidWidth: number;
  readonly circuitWidth: number;
  readonly installation: string;
  readonly rnss: number | null;
  readonly leaseTtlMs: number;
}

/**
 * The settings that must be equal at all replicas, as text: a standby with others would select other relays than the
 * leader.
 */
export function sharedSettings(settings: TopologySettings): string {
  const widths = Object.entries(widthsOf(settings)).map(([dialect, width]) => `${dialect}-width=${width}`);
  return `${widths.join(' ')} rnss=${rnssAdd(settings)}`;
}

/** Links of one node that are relayed to one LNK_CONN at most. */
export function widthsOf({
  linkidWidth,
  circuitWidth,
}: Pick<TopologySettings, 'linkidWidth' | 'circuitWidth'>): Widths {
  return { linkid: linkidWidth, circuit: circuitWidth };
}

/**
 * The rnss that relays add: one number for the installation, the same after restarts and at every replica (protocol.md,
 * "The link layer" 2). 32 bits, unsigned.
 */
export function rnssAdd({ rnss, installation }: Pick<TopologySettings, 'rnss' | 'installation'>): number {
  return rnss ?? createHash('sha256').update(installation).digest().readUInt32LE(0);
}
