import {
  ABORT,
  BASE_MASK,
  CREATE,
  DELETE,
  LNK_ERROR,
  LNK_PING,
  PROTO_MASK,
  REPLY,
  SIZE_MASK,
} from '@spanmesh/dmsg/command';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES, MAX_HEADER_BYTES, padded } from '@spanmesh/dmsg/header';
import type { RoutedMessage } from '@spanmesh/proto/v1/messaging';

/** Upper estimate of the encoded size of a message without payload and aux data, bytes. */
export const MESSAGE_BYTES = 64;

const NOTHING = Buffer.alloc(0);

/** Says, as a sentence, what is wrong with a client's message by itself; null: it can be sent as it is. */
export function messageFault(message: RoutedMessage, { stacked, auxLimit }: DialectRules): string | null {
  const { command, payload, aux } = message;
  if (command >>> 0 !== (command & BASE_MASK)) return 'A command has no flags: bits 0 to 23 only.';
  const headBytes = (command & SIZE_MASK) * CORE_HEADER_BYTES;
  // protocol.md, "Message": Limits.
  if (headBytes === 0 || headBytes > MAX_HEADER_BYTES) {
    return `The header size in a command (bits 0 to 7, in units of 64 bytes) is 1 to ${MAX_HEADER_BYTES / 64}.`;
  }
  if (payload.length > headBytes - CORE_HEADER_BYTES) {
    return `The payload has ${payload.length} bytes, this command's header takes ${headBytes - CORE_HEADER_BYTES}.`;
  }
  if (padded(aux.length) > auxLimit) return `The aux data has ${aux.length} bytes, at most ${auxLimit} are allowed.`;
  // LNK_CONN, LNK_SPAN and the like are for neighbours only: a node would take them as the gateway's own.
  if ((command & PROTO_MASK) === 0 && command !== LNK_PING && command !== LNK_ERROR) {
    return 'Of the LNK protocol only LNK_PING and LNK_ERROR can be sent on a route.';
  }
  if (!stacked && message.circuit !== 0) return 'The linkid dialect has no stacked transactions: leave circuit 0.';
  if (message.transaction === 0) {
    return message.create || message.delete || message.abort
      ? 'A one-way message (transaction 0) has neither create nor delete nor abort.'
      : null;
  }
  if (message.abort && !message.delete) return 'An abort ends the transaction: set delete, too.';
  return null;
}

/** A transaction's name between client and gateway: its number, and which side opened it. */
export interface TransactionName {
  readonly number: number;
  readonly openedByNode: boolean;
}

/** As a transaction: a one-way message. As a circuit: the span itself. */
export const NO_TRANSACTION: TransactionName = { number: 0, openedByNode: false };

/** Makes the client's form of a message of the node; payload and aux data are copied. */
export function toRouted(frame: Frame, transaction: TransactionName, circuit: TransactionName): RoutedMessage {
  // linkid gives the size of aux data in padded units: how much of the last unit is padding cannot be known.
  const { buf, off, headBytes, auxBytes, cmd, error } = frame;
  const auxStart = off + headBytes;
  return {
    transaction: transaction.number,
    openedByNode: transaction.openedByNode,
    circuit: circuit.number,
    circuitOpenedByNode: circuit.openedByNode,
    command: cmd & BASE_MASK,
    create: (cmd & CREATE) !== 0,
    delete: (cmd & DELETE) !== 0,
    abort: (cmd & ABORT) !== 0,
    reply: transaction.number === 0 && (cmd & REPLY) !== 0,
    error,
    payload: headBytes === CORE_HEADER_BYTES ? NOTHING : Buffer.from(buf.subarray(off + CORE_HEADER_BYTES, auxStart)),
    aux: auxBytes === 0 ? NOTHING : Buffer.from(buf.subarray(auxStart, auxStart + auxBytes)),
  };
}

/**
 * The message that tells a client of the end of a transaction that the node has not ended itself: its circuit or the
 * route is gone.
 */
export function lostMessage(
  transaction: TransactionName,
  circuit: TransactionName,
  { create, error }: { create: boolean; error: number },
): RoutedMessage {
  return {
    transaction: transaction.number,
    openedByNode: transaction.openedByNode,
    circuit: circuit.number,
    circuitOpenedByNode: circuit.openedByNode,
    command: LNK_ERROR,
    create,
    delete: true,
    abort: true,
    reply: false,
    error,
    payload: NOTHING,
    aux: NOTHING,
  };
}
