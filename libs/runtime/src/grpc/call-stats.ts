import {
  type MethodDefinition,
  type ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { Distribution } from '../distribution.ts';
import type { Counted, Metrics } from '../metrics.ts';

/** Codes run from OK to UNAUTHENTICATED. */
const CODES = status.UNAUTHENTICATED + 1;
/** Whether a code is a standard one; others count as UNKNOWN. */
const isCode = (code: number): boolean => Number.isInteger(code) && code >= 0 && code < CODES;

/** Results of the calls of one method. */
interface MethodStats {
  /** Number of calls, by the number of the code that they ended with. */
  readonly byCode: Float64Array;
  /**
   * Times from the headers to the status, seconds; null: the method's calls are streams, which last as long as somebody
   * wants them.
   */
  readonly seconds: Distribution | null;
}

/**
 * How many calls of each method have ended with which code, and how long those took that are not streams. The methods
 * of a server are few and fixed.
 */
export class CallStats {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #methods = new Map<string, MethodStats>();

  constructor({ clock }: { readonly clock: Pick<Clock, 'now'> }) {
    this.#clock = clock;
  }

  /**
   * The outermost interceptor: it sees every status, also those of the other interceptors. A call that ends without a
   * status was cancelled.
   */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const stats = this.#of(method);
    const began = this.#clock.now();
    let isOver = false;
    const over = (code: number): void => {
      if (isOver) return;
      isOver = true;
      const known = isCode(code) ? code : status.UNKNOWN;
      stats.byCode[known] = (stats.byCode[known] ?? 0) + 1;
      stats.seconds?.observe((this.#clock.now() - began) / 1000);
    };
    watchEnd(call, over);
    // Nothing is put between a call and its messages. The library's type asks for its own class, but it uses only the
    // interface.
    return call as ServerInterceptingCall;
  };

  *counts(): Iterable<Counted> {
    for (const [method, { byCode }] of this.#methods) {
      for (const [code, value] of byCode.entries()) {
        if (value > 0) yield { labels: { method, code: status[code] ?? String(code) }, value };
      }
    }
  }

  *seconds(): Iterable<readonly [string, Distribution]> {
    for (const [method, { seconds }] of this.#methods) if (seconds !== null) yield [method, seconds];
  }

  register(metrics: Metrics): void {
    metrics.counters(
      'spanmesh_grpc_calls_total',
      'gRPC calls that have ended, also those refused, by method and code.',
      ['method', 'code'],
      () => this.counts(),
    );
    metrics.histogram(
      'spanmesh_grpc_call_seconds',
      'How long gRPC calls that are no streams took, from their headers to their status.',
      () => this.seconds(),
      'method',
    );
  }

  #of({
    path,
    requestStream,
    responseStream,
  }: Pick<MethodDefinition<unknown, unknown>, 'path' | 'requestStream' | 'responseStream'>): MethodStats {
    const method = path.slice(1);
    let stats = this.#methods.get(method);
    if (stats === undefined) {
      stats = { byCode: new Float64Array(CODES), seconds: requestStream || responseStream ? null : new Distribution() };
      this.#methods.set(method, stats);
    }
    return stats;
  }
}

/** Calls `over` with the call's code: when its status is sent, or when the call is closed without one. */
function watchEnd(call: ServerInterceptingCallInterface, over: (code: number) => void): void {
  const sendStatus = call.sendStatus.bind(call);
  call.sendStatus = (sent) => {
    over(sent.code ?? status.UNKNOWN);
    sendStatus(sent);
  };
  const start = call.start.bind(call);
  call.start = (listener) =>
    start({
      ...listener,
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel: () => {
        over(status.CANCELLED);
        listener.onCancel();
      },
    });
}
