import type { status } from '@grpc/grpc-js';

/** Bytes at the beginning of a gRPC-Web message: flags, then its length, 32 bits. */
const HEAD_BYTES = 5;
/** Flag: the trailers follow, not a message. */
const TRAILERS = 0x80;

/**
 * The one message in the request of a unary call or of a stream to the client. @throws RangeError: the body is no such
 * request
 */
export function readRequest(body: Buffer): Buffer {
  if (body.length < HEAD_BYTES || body[0] !== 0) throw new RangeError('no uncompressed gRPC-Web message');
  if (body.readUInt32BE(1) !== body.length - HEAD_BYTES) throw new RangeError('not one gRPC-Web message');
  return body.subarray(HEAD_BYTES);
}

/** The head of a message: flags and length. */
export function messageHead(length: number): Buffer {
  return head(0, length);
}

/** The trailers, which end the answer's body: the call's status. */
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
