/** Where the attacker's process finds the installation, and which identities it has there. Passed as JSON. */
export interface Target {
  /** Ports of the listeners for peers; `any`: the one that waits for the dialect. */
  readonly linkid: number;
  readonly circuit: number;
  readonly any: number;
  readonly grpc: number;
  readonly http: number;
  readonly trunk: number;
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
  /** Node ids (uuid text) of the honest owners. */
  readonly owners: { readonly linkid: string; readonly circuit: string };
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

/** The attacker's API users, by role. */
export const USERS = { read: 'mallory', operate: 'mallet' } as const;
