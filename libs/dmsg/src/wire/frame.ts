/**
 * One message in place, as the framing found it in a read buffer. The object is a cursor that is moved from message to
 * message, never allocated per message: its fields are valid only inside the call that hands it out, and a callee that
 * needs the bytes later copies them. 64-bit fields are two unsigned 32-bit halves (protocol.md: peers' ids are 64
 * opaque bits).
 */
export interface Frame {
  /** The buffer that holds the whole message, core header in little-endian whatever the sender's order was. */
  readonly buf: Uint8Array;
  /** The bytes of `buf`, for reading and writing words. */
  readonly view: DataView;
  /**
   * True: the hdr_crc in the header is right for the header's bytes in `buf`. False after a core header of the other
   * byte order was swapped.
   */
  readonly sealed: boolean;
  /** Offset of the message in `buf`. */
  readonly off: number;
  /** Size of the extended header in bytes: 64..2048, a multiple of 64. */
  readonly headBytes: number;
  /** Size of the aux data in bytes, padding included (a multiple of 64). */
  readonly auxPadded: number;
  /** Size of the aux data in bytes as the sender counted it: linkid: same as auxPadded, circuit: unpadded. */
  readonly auxBytes: number;
  readonly msgidLo: number;
  readonly msgidHi: number;
  /** Offset 16. linkid: source, circuit: circuit. */
  readonly circuitLo: number;
  readonly circuitHi: number;
  /** Offset 24. linkid: target, circuit: link_verifier. */
  readonly targetLo: number;
  readonly targetHi: number;
  /** Command word with its flags, unsigned. */
  readonly cmd: number;
  /** The error field. */
  readonly error: number;
  /** The aux_crc field: CRC of the padded aux data (verified by the framing when there is aux data). */
  readonly auxCrc: number;
}
