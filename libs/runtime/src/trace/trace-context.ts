/** Bytes of a trace's context: the id of the trace (16), the id of the step that is the parent (8), flags (1). */
export const TRACE_CONTEXT_BYTES = 25;

/** Header of a call in which its trace's context travels (W3C Trace Context, version 00). */
export const TRACE_HEADER = 'traceparent';

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const TRACE_ID_BYTES = 16;
const STEP_ID_BYTES = 8;

/** The context in a header; null: none that can be used. */
export function parseTraceparent(text: unknown): Uint8Array | null {
  const [, traceId, stepId, flags] = typeof text === 'string' ? (TRACEPARENT.exec(text) ?? []) : [];
  return traceId === undefined ? null : readTraceContext(Buffer.from(`${traceId}${stepId}${flags}`, 'hex'));
}

export function traceparent(context: Uint8Array): string {
  const { traceId, stepId, flags } = partsOf(context);
  return `00-${traceId}-${stepId}-${flags.toString(16).padStart(2, '0')}`;
}

/** The context that another service has sent; null: none, or an impossible one. */
export function readTraceContext(bytes: Uint8Array | undefined): Uint8Array | null {
  if (bytes?.length !== TRACE_CONTEXT_BYTES) return null;
  const isNil = (from: number, length: number) => bytes.subarray(from, from + length).every((byte) => byte === 0);
  return isNil(0, TRACE_ID_BYTES) || isNil(TRACE_ID_BYTES, STEP_ID_BYTES) ? null : bytes;
}

/** The ids in hexadecimal, and the flags. */
export function partsOf(context: Uint8Array): { traceId: string; stepId: string; flags: number } {
  const hex = Buffer.from(context.buffer, context.byteOffset, context.byteLength).toString('hex');
  const [afterTrace, afterStep] = [2 * TRACE_ID_BYTES, 2 * (TRACE_ID_BYTES + STEP_ID_BYTES)];
  return {
    traceId: hex.slice(0, afterTrace),
    stepId: hex.slice(afterTrace, afterStep),
    flags: Number.parseInt(hex.slice(afterStep), 16),
  };
}

/** The inverse of `partsOf`. */
export function contextOf({ traceId, stepId, flags }: { traceId: string; stepId: string; flags: number }): Buffer {
  return Buffer.from(`${traceId}${stepId}${flags.toString(16).padStart(2, '0')}`, 'hex');
}
