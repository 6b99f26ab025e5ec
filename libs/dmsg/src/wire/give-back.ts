/** Smaller buffers are left to the garbage collector: freeing one by hand costs 300 ns. */
const LEAST_BYTES = 16 * 1024;

/** Node 20 has no ArrayBuffer.transfer. */
const canTransfer = typeof ArrayBuffer.prototype.transfer === 'function';

/**
 * Frees the memory behind `buf` now, if `buf` is the whole of its ArrayBuffer; otherwise does nothing. The caller must
 * know that nobody else uses it. Bulk data goes through short-lived buffers of 64 KiB. Left to V8, every 64 MB of them
 * cost a collection of the whole heap, 10 to 30 ms each: a third of the time at 400 MB/s.
 */
export function giveBack(buf: Uint8Array): void {
  if (buf.length >= LEAST_BYTES) giveBackAny(buf);
}

/** As `giveBack`, for memory of any size: buffers so frequent that the collector would run for them alone. */
export function giveBackAny(buf: Uint8Array): void {
  const memory = buf.buffer;
  if (buf.length === memory.byteLength && canTransfer && memory instanceof ArrayBuffer) memory.transfer(0);
}
