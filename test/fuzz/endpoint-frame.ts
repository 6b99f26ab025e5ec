import { crc32c } from '@spanmesh/dmsg/crc';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { auxField, CORE_HEADER_BYTES, sealHeader, writeCoreHeader } from '@spanmesh/dmsg/header';
import { viewOf } from '@spanmesh/dmsg/words';

/** Room for the largest header and some aux data. */
const BUFFER_BYTES = 2048 + 256;

/** One frame that is used repeatedly, as by a FrameReader: filled, handed out, and perhaps passed on. */
export class FuzzFrame implements Frame {
  readonly buf = new Uint8Array(BUFFER_BYTES);
  readonly view = new DataView(this.buf.buffer);
  readonly sealed = true;
  readonly off = 0;
  headBytes = CORE_HEADER_BYTES;
  auxPadded = 0;
  auxBytes = 0;
  msgidLo = 0;
  msgidHi = 0;
  circuitLo = 0;
  circuitHi = 0;
  targetLo = 0;
  targetHi = 0;
  cmd = 0;
  error = 0;
  auxCrc = 0;

  /** Writes the message's bytes according to the fields that are set already. `auxBytes`: at most 192. */
  seal(rules: DialectRules, cmd: number, auxBytes: number): void {
    this.cmd = cmd >>> 0;
    this.headBytes = Math.max(1, Math.min(32, cmd & 0xff)) * CORE_HEADER_BYTES;
    this.auxPadded = (auxBytes + 63) & ~63;
    this.auxBytes = rules.auxUnit === 1 ? auxBytes : this.auxPadded;
    const { buf, headBytes, auxPadded } = this;
    buf.fill(0, CORE_HEADER_BYTES, headBytes + auxPadded);
    this.auxCrc = auxPadded === 0 ? 0 : crc32c(buf, headBytes, headBytes + auxPadded);
    const field = auxField(rules.auxUnit, auxBytes);
    writeCoreHeader(
      viewOf(buf),
      0,
      this.cmd,
      this.msgidLo,
      this.msgidHi,
      this.circuitLo,
      this.circuitHi,
      this.targetLo,
      this.targetHi,
      this.error,
      field,
      this.auxCrc,
    );
    sealHeader(buf, 0, headBytes, 0);
  }
}
