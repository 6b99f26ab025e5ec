/**
 * The command word of a DMSG message (protocol.md, "Message"): flags in bits 26..31, protocol in bits 20..23,
 * command in bits 8..19, header size in 64-byte units in bits 0..7. All words are unsigned 32-bit numbers.
 */

/** Opens a transaction in the sender's direction. */
export const CREATE = 0x80000000;
/** Closes the sender's direction of a transaction. */
export const DELETE = 0x40000000;
/** The sender did not open the transaction (or: an answer to a one-way message). */
export const REPLY = 0x20000000;
/** The transaction is torn down, whatever messages are still on their way. */
export const ABORT = 0x10000000;
/** circuit only: the receiver of this message opened the transaction. */
export const REVTRANS = 0x08000000;
/** circuit only: the receiver of this message opened the circuit that the transaction runs on. */
export const REVCIRC = 0x04000000;

/** Bits that identify a command, header size included: compare all of them. */
export const BASE_MASK = 0x00ffffff;
/** Header size in 64-byte units. */
export const SIZE_MASK = 0x000000ff;
/** Protocol number, in place (not shifted down): LNK 0, DBG 0x00100000, BLK 0x00500000. */
export const PROTO_MASK = 0x00f00000;

export const LNK_PAD = 0x00000001;
export const LNK_PING = 0x00000101;
export const LNK_AUTH = 0x00001002;
/** LNK_CONN of the linkid dialect (512 bytes). */
export const LNK_CONN_LINKID = 0x00001108;
/** LNK_CONN of the circuit dialect (384 bytes). */
export const LNK_CONN_CIRCUIT = 0x00001106;
export const LNK_SPAN = 0x00001207;
export const LNK_VOLCONF = 0x00002008;
export const LNK_ERROR = 0x000fff01;
export const DBG_SHELL = 0x00100101;
export const BLK_OPEN = 0x00500102;
export const BLK_CLOSE = 0x00500202;
export const BLK_READ = 0x00500302;
export const BLK_WRITE = 0x00500402;
export const BLK_FLUSH = 0x00500502;
export const BLK_FREEBLKS = 0x00500602;
export const BLK_ERROR = 0x005fff03;
