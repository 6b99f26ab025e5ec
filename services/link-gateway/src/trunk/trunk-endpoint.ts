import { TRUNK } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { OutWindow } from './credit.ts';
import { MAX_TRUNK_TRANSACTIONS } from './limits.ts';
import { Route } from './route.ts';
import type { TrunkOutbox } from './trunk-outbox.ts';

/** An endpoint that charges what is sent on a route to the route's window, whoever sends it. */
export class TrunkEndpoint extends Endpoint {
  readonly #out: TrunkOutbox;
  readonly #free: OutWindow;
  readonly #maxTransactions: number;

  /** `out.window` at this moment is what is not on a route is charged to. */
  constructor(out: TrunkOutbox, handler: EndpointHandler, maxTransactions = MAX_TRUNK_TRANSACTIONS) {
    super({ rules: TRUNK, maxTransactions }, { out, handler, salts: out });
    this.#maxTransactions = maxTransactions;
    this.#out = out;
    this.#free = out.window;
  }

  override open(
    cmd: number,
    circuit: Transaction | null,
    handler: TransactionHandler,
    payload: Uint8Array | null = null,
    error = 0,
    aux: Uint8Array | null = null,
  ): Transaction {
    this.#checkRoom();
    this.#charge(circuit);
    try {
      return super.open(cmd, circuit, handler, payload, error, aux);
    } finally {
      this.#out.window = this.#free;
    }
  }

  override openForwarded(
    circuit: Transaction | null,
    handler: TransactionHandler,
    frame: Frame,
    _address: LinkAddress | null = null,
  ): Transaction {
    this.#checkRoom();
    this.#charge(circuit);
    try {
      return super.openForwarded(circuit, handler, frame);
    } finally {
      this.#out.window = this.#free;
    }
  }

  override send(
    tx: Transaction,
    cmd: number,
    error = 0,
    payload: Uint8Array | null = null,
    aux: Uint8Array | null = null,
  ): boolean {
    this.#charge(tx);
    try {
      return super.send(tx, cmd, error, payload, aux);
    } finally {
      this.#out.window = this.#free;
    }
  }

  override forward(tx: Transaction, frame: Frame): boolean {
    this.#charge(tx);
    try {
      return super.forward(tx, frame);
    } finally {
      this.#out.window = this.#free;
    }
  }

  override oneWay(
    cmd: number,
    error = 0,
    payload: Uint8Array | null = null,
    aux: Uint8Array | null = null,
    circuit: Transaction | null = null,
  ): boolean {
    this.#charge(circuit);
    try {
      return super.oneWay(cmd, error, payload, aux, circuit);
    } finally {
      this.#out.window = this.#free;
    }
  }

  override forwardOneWay(frame: Frame, circuit: Transaction | null): boolean {
    this.#charge(circuit);
    try {
      return super.forwardOneWay(frame, circuit);
    } finally {
      this.#out.window = this.#free;
    }
  }

  /** Beyond its limit the other side would end the trunk, and with it everybody's transactions: refused here, one by one. */
  #checkRoom(): void {
    if (this.openCount < this.#maxTransactions) return;
    throw new DmsgError(ErrorCode.PARAM, 'too many open transactions', { limit: this.#maxTransactions });
  }

  #charge(tx: Transaction | null): void {
    const route = tx === null ? null : routeOf(tx);
    this.#out.window = route === null ? this.#free : route.out;
  }
}

/** The route that a transaction runs on, at whatever depth, or is; null: none that was taken. */
export function routeOf(tx: Transaction): Route | null {
  let at = tx;
  while (at.circuit !== null) at = at.circuit;
  return at.handler instanceof Route ? at.handler : null;
}
