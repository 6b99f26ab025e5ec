/** Where an attacker finds what he attacks, and who he is there. Handed over as JSON. */
export interface Target {
  /** Ports of the listeners for peers; `any`: the one that waits for the dialect. */
  readonly linkid: number;
  readonly circuit: number;
  readonly any: number;
  readonly grpc: number;
  readonly http: number;
  readonly trunk: number;
  /** Number of the attack: his addresses end with it, so that lines about him are told from those about others. */
  readonly number: number;
  /** The largest loads, at limits as they are by default. */
  readonly full: boolean;
  /** Tokens of API users that are his, by role. */
  readonly tokens: { readonly read: string; readonly operate: string };
  /** PEM: his private key, and the router's public one. */
  readonly key: string;
  readonly routerKey: string;
  /** A media id that an honest peer has. */
  readonly media: string;
  /** Node ids (uuid text) of honest owners. */
  readonly owners: { readonly linkid: string; readonly circuit: string };
}

/** Addresses of his: an attack from one of these is from nobody else. */
export function addressesOf({ number }: Pick<Target, 'number'>) {
  return {
    /** Speaks plaintext. */
    plain: `127.66.0.${number}`,
    /** The same, another one. */
    second: `127.66.1.${number}`,
    /** Must encrypt, with `key`. */
    keyed: `127.67.0.${number}`,
    /** A balancer: its connections begin with a PROXY header. */
    balancer: `127.68.0.${number}`,
    /** No file names it. */
    unknown: `127.69.0.${number}`,
  } as const;
}

/** API users of his. */
export const USERS = { read: 'mallory', operate: 'mallet' } as const;
