import type { DialRequest, DialResponse, HangupRequest } from '@spanmesh/proto/v1/dial';
import type { GatewayPort, MediaSink, MediaStream, OrderError } from '../gateways/gateway-port.ts';

/** An order, which remains unanswered until the test answers it. */
interface Order<Request, Answer> {
  readonly request: Request;
  answer(answer: Answer): void;
  fail(error: OrderError | Error): void;
}

/** A port to a gateway that answers only when the test says so. */
export class FakePort implements GatewayPort {
  readonly dials: Order<DialRequest, DialResponse>[] = [];
  readonly hangups: Order<HangupRequest, void>[] = [];
  /** Watches in the order in which they were begun. */
  readonly watches: { readonly epoch: number; readonly sink: MediaSink; isCancelled: boolean }[] = [];
  isClosed = false;

  dial(request: DialRequest): Promise<DialResponse> {
    return given(this.dials, request);
  }

  hangup(request: HangupRequest): Promise<void> {
    return given(this.hangups, request);
  }

  watch(epoch: number, sink: MediaSink): MediaStream {
    const watch = { epoch, sink, isCancelled: false };
    this.watches.push(watch);
    return {
      cancel: () => {
        watch.isCancelled = true;
      },
    };
  }

  close(): void {
    this.isClosed = true;
  }
}

function given<Request, Answer>(orders: Order<Request, Answer>[], request: Request): Promise<Answer> {
  const { promise, resolve: answer, reject: fail } = Promise.withResolvers<Answer>();
  orders.push({ request, answer, fail });
  return promise;
}
