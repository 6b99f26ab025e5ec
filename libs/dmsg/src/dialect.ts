import { BASE_MASK, LNK_CONN_CIRCUIT, LNK_CONN_LINKID } from './command.ts';

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
  /**
   * True if transactions can be stacked: the 64 bits at offset 16 are a circuit, REVTRANS and REVCIRC have meaning.
   * False if messages are routed by the source and the target that they name (protocol.md, "Routing").
   */
  readonly stacked: boolean;
  /** True if a peer may have one LNK_CONN at a time, not several (protocol.md, "The link layer" 2). */
  readonly oneLnkConn: boolean;
  readonly payloads: PayloadFields;
}

/** Where LNK_CONN and LNK_SPAN differ between the dialects (protocol.md, "Payloads"). */
export interface PayloadFields {
  /** Bytes of LNK_CONN after the core header. */
  readonly lnkConnBytes: number;
  /** Bytes of the label in LNK_CONN. */
  readonly lnkConnLabelBytes: number;
  /** True if dist is signed, and a LNK_CONN has dist, pfs_fsid and pfs_type. Otherwise a LNK_CONN has rnss. */
  readonly isDistSigned: boolean;
  /** True if a LNK_SPAN has rnss, media and two labels. Otherwise it has one label. */
  readonly spanHasMedia: boolean;
}

export const LINKID: DialectRules = {
  dialect: 'linkid',
  lnkConn: LNK_CONN_LINKID,
  auxUnit: 64,
  auxLimit: 64 * 1024,
  stacked: false,
  oneLnkConn: false,
  payloads: { lnkConnBytes: 448, lnkConnLabelBytes: 256, isDistSigned: true, spanHasMedia: false },
};

export const CIRCUIT: DialectRules = {
  dialect: 'circuit',
  lnkConn: LNK_CONN_CIRCUIT,
  auxUnit: 1,
  auxLimit: 1024 * 1024,
  stacked: true,
  oneLnkConn: true,
  payloads: { lnkConnBytes: 320, lnkConnLabelBytes: 128, isDistSigned: false, spanHasMedia: true },
};

/**
 * The rules between two gateways (architecture.md, "Trunk"): stacked like circuit, whatever dialect the messages that
 * pass are of. aux_bytes counts bytes, so that messages of both dialects fit: those of linkid have aux data padded to
 * 64 already.
 */
export const TRUNK: DialectRules = { ...CIRCUIT };

const BY_NAME: Readonly<Record<Dialect, DialectRules>> = { linkid: LINKID, circuit: CIRCUIT };
const ALL: readonly DialectRules[] = Object.values(BY_NAME);

/** The rules of a dialect by its name. */
export function rulesOf(dialect: Dialect): DialectRules {
  return BY_NAME[dialect];
}

/** The rules of the dialect whose LNK_CONN has this command word; null: it is no LNK_CONN. */
export function rulesOfLnkConn(cmd: number): DialectRules | null {
  const base = cmd & BASE_MASK;
  for (const rules of ALL) if (rules.lnkConn === base) return rules;
  return null;
}
