import { describe, expect, it } from 'vitest';
import { BLK_READ, CREATE, DELETE, LNK_PING, LNK_SPAN, REVCIRC } from '../command.ts';
import { CIRCUIT } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { OutBuffer } from '../wire/out-buffer.ts';
import { SaltSequence } from '../wire/salt.ts';
import { Endpoint } from './endpoint.ts';
import { idOf, RecordingSide } from './recording-side.fixture.ts';
import { isBoundTo, type Transaction, type TransactionHandler } from './transaction.ts';

const FIRST = { lo: 1, hi: 0 };
const SECOND = { lo: 2, hi: 0 };

/** A handler that takes what is stacked on its transactions. */
function taker() {
  const heard: string[] = [];
  const handler: TransactionHandler<string> = {
    onMessage() {},
    onLost() {},
    onStacked(circuit: Transaction<string>, tx: Transaction, frame: Frame) {
      heard.push(`stacked on ${circuit.data}${(frame.cmd & DELETE) === 0 ? '' : ', closed'}`);
      tx.bind(handler, `${circuit.data}.${tx.msgidLo}`);
    },
    onOneWay(circuit: Transaction<string>) {
      heard.push(`one-way on ${circuit.data}`);
    },
  };
  return { heard, handler };
}

describe('a transaction or one-way message on a circuit', () => {
  it('goes to the handler of its circuit, at any depth, and not to that of the endpoint', () => {
    const { heard, handler } = taker();
    const side = new RecordingSide({ rules: CIRCUIT });
    const own = side.endpoint.open(LNK_SPAN, null, handler);
    own.data = 'own';
    side.hear(BLK_READ | CREATE | REVCIRC, { msgid: FIRST, circuit: idOf(own) });
    side.hear(BLK_READ | CREATE | DELETE, { msgid: SECOND, circuit: FIRST });
    side.hear(LNK_PING | REVCIRC, { circuit: idOf(own) });
    side.hear(LNK_PING, { circuit: FIRST });
    expect(heard).toEqual(['stacked on own', 'stacked on own.1, closed', 'one-way on own', 'one-way on own.1']);
    expect(side.heard()).toEqual([]);
  });

  it('goes to the handler of the endpoint if that of the circuit does not take it', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    const own = side.endpoint.open(LNK_SPAN, null, side.handler);
    side.hear(BLK_READ | CREATE | REVCIRC, { msgid: FIRST, circuit: idOf(own) });
    side.hear(LNK_PING, { circuit: FIRST });
    expect(side.heard().map((line) => line.split(' ')[0])).toEqual(['open', 'oneway']);
  });

  it('is refused after refuseOpens, as everything that the peer opens', () => {
    const { heard, handler } = taker();
    const side = new RecordingSide({ rules: CIRCUIT });
    const own = side.endpoint.open(LNK_SPAN, null, handler);
    side.endpoint.refuseOpens(ErrorCode.LOSTLINK);
    side.said();
    side.hear(BLK_READ | CREATE | REVCIRC, { msgid: FIRST, circuit: idOf(own) });
    side.hear(LNK_SPAN | CREATE, { msgid: SECOND });
    expect([heard, side.heard()]).toEqual([[], []]);
    expect(side.saidFrames().map(({ cmd, error, msgidLo }) => [msgidLo, (cmd & DELETE) !== 0, error])).toEqual([
      [1, true, ErrorCode.LOSTLINK],
      [2, true, ErrorCode.LOSTLINK],
    ]);
  });
});

describe('a bound transaction', () => {
  it('is recognised by its handler, and has its data', () => {
    const { handler } = taker();
    const side = new RecordingSide({ rules: CIRCUIT });
    const tx: Transaction = side.endpoint.open(LNK_SPAN, null, side.handler);
    expect([isBoundTo(tx, handler), isBoundTo(undefined, handler)]).toEqual([false, false]);
    tx.bind(handler, 'text');
    expect(isBoundTo(tx, handler) && tx.data.length).toBe(4);
  });
});

describe('the sending callback', () => {
  it('is told the transaction of each message, or for a one-way or opening message its circuit', () => {
    const told: (Transaction | null)[] = [];
    const out = new OutBuffer();
    const handler = { onMessage() {}, onLost() {} };
    const endpoint = new Endpoint(
      { rules: CIRCUIT },
      {
        out,
        salts: new SaltSequence({ next: () => 0 }),
        handler: { onOpen() {}, onOneWay() {} },
        sending: (on) => void told.push(on),
      },
    );
    const circuit = endpoint.open(LNK_SPAN, null, handler);
    const tx = endpoint.open(BLK_READ, circuit, handler);
    endpoint.send(tx, BLK_READ);
    endpoint.oneWay(LNK_PING);
    endpoint.oneWay(LNK_PING, 0, null, null, circuit);
    endpoint.end(circuit);
    expect(told).toEqual([null, circuit, tx, null, circuit, tx, circuit]);
  });
});
