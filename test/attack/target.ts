/** Where the attacker's process finds the installation, and which identities it has there. Passed as JSON. */
export interface Target {
  /** Ports of the listeners for peers; `any`: the one that waits for the dialect. */
  readonly linkid: number;
  readonly circuit: number;
  readonly any: number;
  readonly grpc: number;
  readonly http: number;
  readonly trunk: number;
  /** Ports for peers of another gateway of the installation. */
  readonly there: { readonly linkid: number; readonly circuit: number };
  /**
   * Number of the attack. The attacker's addresses end with it, so that log lines about this attack can be told from
   * others.
   */
  readonly number: number;
  /** True: the largest loads, at default limits. */
  readonly full: boolean;
  /** Tokens of the attacker's API users, by role. */
  readonly tokens: { readonly read: string; readonly operate: string };
  /** PEM: the attacker's private key, and the router's public key. */
  readonly key: string;
  readonly routerKey: string;
  /** The media id of an honest peer. */
  readonly media: string;
  /** Node ids (uuid text) of honest owners. */
  readonly owners: { readonly linkid: string; readonly circuit: string; readonly overTrunk: string };
}

/** The attacker's addresses; nobody else uses them. */
export function addressesOf({ number }: Pick<Target, 'number'>) {
  return {
    /** May speak plaintext. */
    plain: `127.66.0.${number}`,
    /** A second address that may speak plaintext. */
    second: `127.66.1.${number}`,
    /** Must encrypt, with `key`. */
    keyed: `127.67.0.${number}`,
    /** A load balancer: its connections begin with a PROXY header. */
    balancer: `127.68.0.${number}`,
    /** Not named by any key file. */
    unknown: `127.69.0.${number}`,
  } as const;
}

/** 2,000 addresses more of his that speak plaintext: 250 in each of eight networks. */
export function manyAddressesOf({ number }: Pick<Target, 'number'>): string[] {
  return Array.from({ length: 2_000 }, (_, i) => `127.7${Math.floor(i / 250)}.${number}.${1 + (i % 250)}`);
}

/** API users of his. */
export function usersOf({ number }: Pick<Target, 'number'>) {
  return { read: `mallory-${number}`, operate: `mallet-${number}` } as const;
}
