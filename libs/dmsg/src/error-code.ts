/** Values of the `error` field of a DMSG header (protocol.md, "Message"). 0 means success. */
export const ErrorCode = {
  OK: 0,
  SYNC: 1,
  EOF: 2,
  SOCK: 3,
  FIELD: 4,
  HCRC: 5,
  XCRC: 6,
  ACRC: 7,
  STATE: 8,
  NOPEER: 9,
  NORKEY: 10,
  NOLKEY: 11,
  KEYXCHGFAIL: 12,
  KEYFMT: 13,
  BADURANDOM: 14,
  MSGSEQ: 15,
  EALREADY: 16,
  TRANS: 17,
  IVWRAP: 18,
  MACFAIL: 19,
  ALGO: 20,
  NOSUPP: 0x20,
  LOSTLINK: 0x21,
  IO: 0x22,
  PARAM: 0x23,
  CANTCIRC: 0x24,
} as const;

/** A known value of the `error` field. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Error codes by their number. */
export const ERROR_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ErrorCode).map(([name, code]) => [code, name]),
);

/** The name of an error code as protocol.md spells it, or `E<number>` for one it does not list. */
export function errorName(code: number): string {
  return ERROR_NAMES.get(code) ?? `E${code}`;
}
