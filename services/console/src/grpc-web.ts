import type { status } from '@grpc/grpc-js';

/** What a message of gRPC-Web begins with: flags, then its length, 32 bits. */
const HEAD_BYTES = 5;
/** Flag: what follows are the trailers. */
const TRAILERS = 0x80;

/** The one message that a unary call or a stream to the client is asked with. @throws RangeError: it is none */
export function readRequest(body: Buffer): Buffer {
  if (body.length < HEAD_BYTES || body[0] !== 0) throw new RangeError('no uncompressed gRPC-Web message');
  if (body.readUInt32BE(1) !== body.length - HEAD_BYTES) throw new RangeError('not one gRPC-Web message');
  return body.subarray(HEAD_BYTES);
}

/** Header before each message: flags and length. */
export function messageHead(length: number): Buffer {
  return head(0, length);
}

/** How a call has ended, as the last thing of the answer's body. */
export function trailers(code: status, details: string): Buffer {
  const text = Buffer.from(
    `grpc-status: ${code}\r\ngrpc-message: ${encodeURIComponent(details.toWellFormed())}\r\n`,
    'latin1',
  );
  return Buffer.concat([head(TRAILERS, text.length), text]);
}

function head(flags: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES);
  bytes[0] = flags;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
