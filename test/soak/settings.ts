import type { SoakSizes } from './plan.ts';

/** The settings of a soak: which processes and peers exist, and which faults happen. */
export const SETTINGS = {
  /** One NATS server. */
  usual: { gateways: 4, topologies: 3, peers: 40, nats: 1, targets: 0, watchers: 0, isRough: false, leafs: 0 },
  /** Gateways find the only topology by a configured address; there is no volconf, which needs NATS. */
  'no-nats': { gateways: 4, topologies: 1, peers: 40, nats: 0, targets: 0, watchers: 2, isRough: false, leafs: 0 },
  /** Any of the three servers may fail, also one that leads a stream. */
  'nats-cluster': { gateways: 4, topologies: 3, peers: 40, nats: 3, targets: 0, watchers: 0, isRough: false, leafs: 0 },
  /** Peers refuse relays and do not read, gateways drain, volconf keeps connections, and clients follow the API. */
  rough: { gateways: 4, topologies: 3, peers: 40, nats: 1, targets: 4, watchers: 2, isRough: true, leafs: 0 },
  /** As `usual`, and many leafs call nodes all the time. */
  leafs: { gateways: 4, topologies: 3, peers: 40, nats: 1, targets: 0, watchers: 0, isRough: false, leafs: 600 },
} as const satisfies Record<string, SoakSizes>;

export type SettingName = keyof typeof SETTINGS;

/** The settings with this name; `all`: every one. @throws Error: there is none of that name. */
export function settingsOf(name: string): SettingName[] {
  const names = Object.keys(SETTINGS) as SettingName[];
  const found = name === 'all' ? names : names.filter((one) => one === name);
  if (found.length === 0) throw new Error(`--setting is one of ${names.join(', ')}, or all`);
  return found;
}
