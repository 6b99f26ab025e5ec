import { ABORT, CREATE, DELETE, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { RX_CREATED, RX_DELETED, type Transaction } from './transaction.ts';

/** The frame names the circuit that `tx` runs on, with the REVCIRC flag that belongs to it. */
export function runsOn(tx: Transaction, frame: Frame): boolean {
  const { circuit } = tx;
  if (circuit === null) return (frame.circuitLo | frame.circuitHi) === 0;
  return (
    frame.circuitLo === circuit.msgidLo &&
    frame.circuitHi === circuit.msgidHi &&
    ((frame.cmd & REVCIRC) === 0) === circuit.openedByPeer
  );
}

/** linkid: the frame is not for the link itself (protocol.md, "Routing, linkid"). */
export function isAddressed(frame: Frame): boolean {
  return (frame.circuitLo | frame.circuitHi | frame.targetLo | frame.targetHi) !== 0;
}

/**
 * linkid: the frame is between the same two spans as the transaction (protocol.md, "Routing, linkid": a transaction keeps its
 * source and target). What is not is thrown away, as everything is whose route is not there.
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
 * Checks a message of a transaction against its state and moves the state on. False: throw it away.
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
  // Not yet answered, or closed already. protocol.md, "Transactions": an ABORT without CREATE is for an earlier transaction
  // with this msgid, or too late: quietly.
  if ((cmd & ABORT) === 0) {
    if ((state & RX_DELETED) !== 0) {
      throw violation(frame, (cmd & DELETE) === 0 ? 'message after DELETE' : 'second DELETE');
    }
    if ((cmd & DELETE) !== 0) throw violation(frame, 'DELETE without CREATE');
  }
  return false;
}

/** A protocol error, with what the log needs to say why (protocol.md, "Transactions": say why, end this link). */
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
