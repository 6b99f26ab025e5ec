import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';

/** An endpoint that notes the calls that it gets, and does nothing. */
export class FakeEndpoint {
  /** What was called, in order: the name, then the arguments, transactions by their names. */
  readonly calls: unknown[][] = [];
  awaited = 0;
  /** What `forward`, `forwardCopy` and `forwardOneWay` answer. */
  forwards = true;
  /** What `openForwarded` does; default: opens a transaction called `partner`. */
  opens: () => FakeTransaction = () => new FakeTransaction('partner', this);

  end(tx: FakeTransaction, ...args: unknown[]): void {
    this.calls.push(['end', tx.name, ...args]);
  }

  forward(tx: FakeTransaction, frame: Frame): boolean {
    this.calls.push(['forward', tx.name, frame.cmd]);
    return this.forwards;
  }

  forwardOneWay(frame: Frame, circuit: FakeTransaction | null, address: unknown): boolean {
    this.calls.push(['one way', frame.cmd, circuit?.name ?? null, address]);
    return this.forwards;
  }

  openForwarded(circuit: FakeTransaction | null, handler: unknown, frame: Frame, address: unknown): FakeTransaction {
    this.calls.push(['open', circuit?.name ?? null, frame.cmd, address]);
    const tx = this.opens();
    tx.handler = handler;
    return tx;
  }
}

/** A transaction of a FakeEndpoint. */
export class FakeTransaction {
  readonly name: string;
  readonly endpoint: FakeEndpoint;
  ended = false;
  txDeleted = false;
  rxDeleted = false;
  data: unknown = null;
  handler: unknown = null;

  constructor(name: string, endpoint = new FakeEndpoint()) {
    this.name = name;
    this.endpoint = endpoint;
  }

  bind(handler: unknown, data: unknown): void {
    this.handler = handler;
    this.data = data;
  }

  /** As code takes it that handles transactions with data of this type. */
  as<Data = unknown>(): Transaction<Data> {
    return this as unknown as Transaction<Data>;
  }
}

/** A message of 192 bytes with this command. */
export function frameOf(cmd: number): Frame {
  return { cmd, headBytes: 64, auxPadded: 128 } as unknown as Frame;
}
