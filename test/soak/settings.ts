import type { SoakSizes } from './plan.ts';

/** Where a soak may take place: what is there, and what may happen. */
export const SETTINGS = {
  /** One NATS server. */
  usual: { gateways: 4, topologies: 3, peers: 40, nats: 1, targets: 0, watchers: 0, isRough: false },
  /** Gateways know the one topology by an address that is set; there is no volconf, which needs NATS. */
  'no-nats': { gateways: 4, topologies: 1, peers: 40, nats: 0, targets: 0, watchers: 2, isRough: false },
  /** Of three servers any may go, also the one that leads a stream. */
  'nats-cluster': { gateways: 4, topologies: 3, peers: 40, nats: 3, targets: 0, watchers: 0, isRough: false },
  /** Peers refuse relays and do not read, gateways drain, volconf keeps connections, and somebody follows the API. */
  rough: { gateways: 4, topologies: 3, peers: 40, nats: 1, targets: 4, watchers: 2, isRough: true },
} as const satisfies Record<string, SoakSizes>;

export type SettingName = keyof typeof SETTINGS;

/** The names that were asked for, `all` is each. @throws Error: there is none of that name. */
export function settingsOf(name: string): SettingName[] {
  const names = Object.keys(SETTINGS) as SettingName[];
  const found = name === 'all' ? names : names.filter((one) => one === name);
  if (found.length === 0) throw new Error(`--setting is one of ${names.join(', ')}, or all`);
  return found;
}
