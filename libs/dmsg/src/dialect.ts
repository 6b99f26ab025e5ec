import { LNK_CONN_CIRCUIT, LNK_CONN_LINKID } from './command.ts';

/** `linkid` is the dialect of October 2012, `circuit` the one that DragonFly speaks since 2014. */
export type Dialect = 'linkid' | 'circuit';

/** What differs between the dialects, as data (protocol.md, "Message" and "Transactions"). */
export interface DialectRules {
  readonly dialect: Dialect;
  /** Command word of LNK_CONN without flags. */
  readonly lnkConn: number;
  /** Bytes per unit of the aux_bytes field: linkid counts padded 64-byte units, circuit unpadded bytes. */
  readonly auxUnit: 64 | 1;
  /** Largest aux data in bytes, padding included. */
  readonly auxLimit: number;
  /** True if transactions can be stacked: the 64 bits at offset 16 are a circuit, REVTRANS and REVCIRC have meaning. */
  readonly stacked: boolean;
  /** Link selection width: how many links of a node are relayed to one LNK_CONN. */
  readonly width: number;
}

export const LINKID: DialectRules = {
  dialect: 'linkid',
  lnkConn: LNK_CONN_LINKID,
  auxUnit: 64,
  auxLimit: 64 * 1024,
  stacked: false,
  width: 2,
};

export const CIRCUIT: DialectRules = {
  dialect: 'circuit',
  lnkConn: LNK_CONN_CIRCUIT,
  auxUnit: 1,
  auxLimit: 1024 * 1024,
  stacked: true,
  width: 1,
};

/**
 * The rules between two gateways (architecture.md, "Trunk"): stacked like circuit, whatever dialect the messages that
 * pass are of. aux_bytes counts bytes, so that messages of both dialects fit: those of linkid have aux data padded to
 * 64 already.
 */
export const TRUNK: DialectRules = { ...CIRCUIT };

/** The rules of a dialect by its name. */
export function rulesOf(dialect: Dialect): DialectRules {
  return dialect === 'linkid' ? LINKID : CIRCUIT;
}
