import * as command from './command.ts';

/** Values of peer_type that have a meaning (protocol.md, "Payloads"). */
export const PeerType = { NONE: 0, ROUTER: 1, BLOCK: 2, HAMMER2: 3, CLIENT: 63 } as const;

/** Largest peer_type: a peer_mask has 64 bits (protocol.md, "Payloads": larger ones are answered with PARAM). */
export const MAX_PEER_TYPE = 63;

/** Peer types by their number. */
export const PEER_TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(PeerType).map(([name, value]) => [value, name]),
);

/** The name of a peer type as the shell's `tree` prints it (protocol.md, "Debug shell"). */
export function peerTypeName(peerType: number): string {
  return PEER_TYPE_NAMES.get(peerType) ?? '?PEERTYPE?';
}

/** Names of pfs_type values in spans of block devices and of their clients, by value (protocol.md, "Payloads"). */
const DEVICE_PFS_TYPES = ['NONE', 'ADMIN', 'CLIENT', 'SERVER'] as const;
/** Names of pfs_type values in spans of HAMMER2 volumes, by value; undefined: not used. */
const VOLUME_PFS_TYPES = [
  'NONE',
  'CACHE',
  undefined,
  'SLAVE',
  'SOFT_SLAVE',
  'SOFT_MASTER',
  'MASTER',
  undefined,
  'SUPROOT',
  'DUMMY',
] as const;

/**
 * The name of a pfs_type; undefined: it has none. The names depend on the peer type. NONE has those of volumes, because
 * spans of the linkid dialect's clusters have that type.
 */
export function pfsTypeName(pfsType: number, peerType: number): string | undefined {
  const isVolume = peerType === PeerType.HAMMER2 || peerType === PeerType.NONE;
  return (isVolume ? VOLUME_PFS_TYPES : DEVICE_PFS_TYPES)[pfsType];
}

/**
 * Names of commands by their word without flags: the exports of command.ts, as protocol.md spells them. Each dialect
 * has a LNK_CONN of its own.
 */
export const COMMAND_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(command)
    .filter(([name]) => /^(LNK|DBG|BLK)_/.test(name))
    .map(([name, word]) => [word, name.replace(/^LNK_CONN_.*/, 'LNK_CONN')]),
);

/**
 * The name of a command word's command, without its flags, as protocol.md spells it; hexadecimal if it is not known.
 */
export function commandName(cmd: number): string {
  const base = cmd & command.BASE_MASK;
  return COMMAND_NAMES.get(base) ?? `0x${base.toString(16).padStart(6, '0')}`;
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [command.CREATE, 'CREATE'],
  [command.DELETE, 'DELETE'],
  [command.REPLY, 'REPLY'],
  [command.ABORT, 'ABORT'],
  [command.REVTRANS, 'REVTRANS'],
  [command.REVCIRC, 'REVCIRC'],
];

/** A whole command word for a log line: `LNK_ERROR|CREATE|REPLY`. */
export function describeCommand(cmd: number): string {
  let text = commandName(cmd);
  for (const [flag, name] of FLAG_NAMES) {
    if ((cmd & flag) !== 0) text += `|${name}`;
  }
  return text;
}
