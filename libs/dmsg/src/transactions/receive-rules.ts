import { ABORT, CREATE, DELETE, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { RX_CREATED, RX_DELETED, type Transaction } from './transaction.ts';

/** Whether the frame names the circuit that `tx` runs on, with the right REVCIRC flag. */
export function runsOn(tx: Transaction, frame: Frame): boolean {
  const { circuit } = tx;
  if (circuit === null) return (frame.circuitLo | frame.circuitHi) === 0;
  return (
    frame.circuitLo === circuit.msgidLo &&
    frame.circuitHi === circuit.msgidHi &&
    ((frame.cmd & REVCIRC) === 0) === circuit.openedByPeer
  );
}

/** Whether the peer opens a transaction with it. */
export function isOpening({ cmd }: Frame): boolean {
  return (cmd & (REPLY | CREATE)) >>> 0 === CREATE;
}

/** linkid: whether the frame is routed, not for the link itself (protocol.md, "Routing, linkid"). */
export function isAddressed(frame: Frame): boolean {
  return (frame.circuitLo | frame.circuitHi | frame.targetLo | frame.targetHi) !== 0;
}

/**
 * linkid: whether the frame has the transaction's own source and target (protocol.md, "Routing, linkid": a transaction
 * keeps them). A frame with others is thrown away, like any message whose route is gone.
 */
export function keepsAddress(tx: Transaction, frame: Frame): boolean {
  return (
    frame.circuitLo === tx.toLo &&
    frame.circuitHi === tx.toHi &&
    frame.targetLo === tx.fromLo &&
    frame.targetHi === tx.fromHi
  );
}

/** protocol.md, "Transactions": (circuit) in a transaction REPLY and REVTRANS come together or not at all. */
export function checkReplyFlags(frame: Frame): void {
  const both = frame.cmd & (REPLY | REVTRANS);
  if (both === REPLY) throw violation(frame, 'REPLY without REVTRANS');
  if (both === REVTRANS) throw violation(frame, 'REVTRANS without REPLY');
}

/**
 * Checks a message of a transaction against its state and updates the state. False: the message is to be thrown away.
 * @throws DmsgError TRANS: a protocol error.
 */
export function advance(tx: Transaction, frame: Frame): boolean {
  const { cmd } = frame;
  const { state } = tx;
  if ((cmd & CREATE) !== 0) {
    // protocol.md, "Transactions": a duplicate CREATE, in either direction.
    if ((state & RX_CREATED) !== 0) throw violation(frame, 'duplicate CREATE');
    tx.state = state | ((cmd & DELETE) === 0 ? RX_CREATED : RX_CREATED | RX_DELETED);
    return true;
  }
  if ((state & (RX_CREATED | RX_DELETED)) === RX_CREATED) {
    if ((cmd & DELETE) !== 0) tx.state = state | RX_DELETED;
    return true;
  }
  // The peer's direction is not open: not created yet, or closed already. protocol.md, "Transactions": an ABORT without
  // CREATE is for an earlier transaction with this msgid, or too late: it is dropped quietly.
  if ((cmd & ABORT) === 0) {
    if ((state & RX_DELETED) !== 0) {
      throw violation(frame, (cmd & DELETE) === 0 ? 'message after DELETE' : 'second DELETE');
    }
    if ((cmd & DELETE) !== 0) throw violation(frame, 'DELETE without CREATE');
  }
  return false;
}

/** A protocol error, with the data that the log needs (protocol.md, "Transactions": say why, end this link). */
export function violation(frame: Frame, reason: string): DmsgError {
  const { cmd, msgidLo, msgidHi, circuitLo, circuitHi } = frame;
  return new DmsgError(ErrorCode.TRANS, reason, {
    cmd: hex(cmd),
    msgid: hex(msgidHi) + hex(msgidLo),
    circuit: hex(circuitHi) + hex(circuitLo),
  });
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
