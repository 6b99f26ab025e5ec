import { ABORT, CREATE, DELETE, LNK_ERROR, LNK_PING, REPLY } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { RoutedMessage } from '@spanmesh/proto/v1/messaging';
import { describe, expect, it } from 'vitest';
import { lostMessage, messageFault, NO_TRANSACTION, toRouted } from './routed-message.ts';

const [CIRCUIT, LINKID] = [rulesOf('circuit'), rulesOf('linkid')];
/** A command with a header of two units. */
const COMMAND = 0x00100202;

const message = (fields: Partial<RoutedMessage>) =>
  RoutedMessage.fromPartial({ command: COMMAND, transaction: 1, ...fields });

describe('a message of a client', () => {
  it.each<[string, Partial<RoutedMessage>]>([
    ['of a transaction', { create: true, delete: true }],
    ['that aborts it', { delete: true, abort: true }],
    ['that is one-way', { transaction: 0, reply: true }],
    ['with the smallest header', { command: 0x00100201 }],
    ['with the largest header', { command: 0x00100220, payload: Buffer.alloc(0x20 * 64 - 64) }],
    ['with all bits of a command', { command: 0xffff01 }],
    ['with as much payload as its header takes', { payload: Buffer.alloc(64) }],
    ['with as much aux data as is allowed', { aux: Buffer.alloc(CIRCUIT.auxLimit) }],
    ['that is a ping', { command: LNK_PING }],
    ['that is an error', { command: LNK_ERROR }],
    ['on another transaction', { circuit: 2 }],
  ])('can be sent: %s', (_what, fields) => {
    expect(messageFault(message(fields), CIRCUIT)).toBeNull();
  });

  it.each<[Partial<RoutedMessage>, string]>([
    [{ command: COMMAND | REPLY }, 'A command has no flags: bits 0 to 23 only.'],
    [{ command: 0x01100202 }, 'A command has no flags: bits 0 to 23 only.'],
    [{ command: 0x00100200 }, 'The header size in a command (bits 0 to 7, in units of 64 bytes) is 1 to 32.'],
    [{ command: 0x00100221 }, 'The header size in a command (bits 0 to 7, in units of 64 bytes) is 1 to 32.'],
    [{ payload: Buffer.alloc(65) }, "The payload has 65 bytes, this command's header takes 64."],
    [{ command: 0x00100201, payload: Buffer.alloc(1) }, "The payload has 1 bytes, this command's header takes 0."],
    [
      { aux: Buffer.alloc(CIRCUIT.auxLimit + 1) },
      `The aux data has ${CIRCUIT.auxLimit + 1} bytes, at most ${CIRCUIT.auxLimit} are allowed.`,
    ],
    [{ command: 0x00000202 }, 'Of the LNK protocol only LNK_PING and LNK_ERROR can be sent on a route.'],
    ...(['create', 'delete', 'abort'] as const).map((flag): [Partial<RoutedMessage>, string] => [
      { transaction: 0, [flag]: true },
      'A one-way message (transaction 0) has neither create nor delete nor abort.',
    ]),
    [{ abort: true }, 'An abort ends the transaction: set delete, too.'],
  ])('cannot be sent: %j', (fields, fault) => {
    expect(messageFault(message(fields), CIRCUIT)).toBe(fault);
  });

  it('has no circuit in linkid', () => {
    const fault = 'The linkid dialect has no stacked transactions: leave circuit 0.';
    expect(messageFault(message({ circuit: 1 }), LINKID)).toBe(fault);
    expect(messageFault(message({}), LINKID)).toBeNull();
  });
});

describe('a message for a client', () => {
  /** The client's form of a message with these fields. */
  function routed(fields: Partial<Parameters<typeof encodeMessage>[0]>, name = { number: 7, openedByNode: true }) {
    const made: RoutedMessage[] = [];
    const circuit = { number: 8, openedByNode: false };
    const bytes = encodeMessage({ rules: CIRCUIT, cmd: COMMAND, salt: 0, ...fields });
    const onFrame = (frame: Frame) => void made.push(toRouted(frame, name, circuit));
    new FrameReader({ rules: CIRCUIT }).push(bytes, { onFrame });
    // The client's message is a copy: the memory of the read is used again.
    bytes.fill(0xff);
    return made[0];
  }

  it('has all that the message of the node has', () => {
    const [payload, aux] = [Buffer.alloc(64, 0x61), Buffer.alloc(5, 0x62)];
    const cmd = (COMMAND | CREATE | DELETE | ABORT | REPLY) >>> 0;
    expect(routed({ cmd, error: 3, payload, aux, msgid: { lo: 1, hi: 0 } })).toEqual({
      ...{ transaction: 7, openedByNode: true, circuit: 8, circuitOpenedByNode: false, command: COMMAND },
      ...{ create: true, delete: true, abort: true, reply: false, error: 3, payload, aux },
    });
  });

  it('has nothing that the message of the node has not, and says of a one-way message whether it is an answer', () => {
    const nothing = Buffer.alloc(0);
    expect(routed({ cmd: 0x00100201 }, NO_TRANSACTION)).toEqual({
      ...{ transaction: 0, openedByNode: false, circuit: 8, circuitOpenedByNode: false, command: 0x00100201 },
      ...{ create: false, delete: false, abort: false, reply: false, error: 0, payload: nothing, aux: nothing },
    });
    expect(routed({ cmd: (0x00100201 | REPLY) >>> 0 }, NO_TRANSACTION)?.reply).toBe(true);
  });

  it('says of the end of a transaction that the node has not ended that it is an abort', () => {
    const lost = { create: true, error: 33 };
    expect(lostMessage({ number: 7, openedByNode: true }, { number: 8, openedByNode: true }, lost)).toEqual({
      ...{ transaction: 7, openedByNode: true, circuit: 8, circuitOpenedByNode: true, command: LNK_ERROR },
      ...{ create: true, delete: true, abort: true, reply: false, error: 33 },
      ...{ payload: Buffer.alloc(0), aux: Buffer.alloc(0) },
    });
    expect(lostMessage(NO_TRANSACTION, NO_TRANSACTION, { create: false, error: 0 })).toMatchObject({ create: false });
  });
});
