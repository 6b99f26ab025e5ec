import {
  type InspectResponse,
  type ListProcessesResponse,
  ProcessClient,
  type SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import { type CallContext, failureOf } from './call-failure.ts';
import { callUnary } from './channel.ts';
import { type ApiTarget, openClient } from './open-client.ts';

const SERVICE = 'spanmesh.v1.Process';

/** The Process service as the commands use it: one Failure for whatever goes wrong. */
export class ProcessApi {
  readonly #context: CallContext;
  readonly #client: ProcessClient;

  /** @throws Failure usage */
  constructor({ timeoutMs, ...target }: ApiTarget & { readonly timeoutMs: number }) {
    this.#context = { address: target.address, timeoutMs, service: SERVICE };
    this.#client = openClient(ProcessClient, target);
  }

  close(): void {
    this.#client.close();
  }

  /** @throws Failure */
  processes(): Promise<ListProcessesResponse> {
    return callUnary(this.#client.listProcesses.bind(this.#client), {}, this.#context);
  }

  /**
   * The answers of processes about themselves, as they arrive.
   * @throws Failure
   */
  async *inspect(process: string): AsyncGenerator<InspectResponse, void, undefined> {
    const deadline = Date.now() + this.#context.timeoutMs;
    const call = this.#client.inspect({ process }, { deadline });
    try {
      yield* call as AsyncIterable<InspectResponse>;
    } catch (error) {
      throw failureOf(error, this.#context);
    }
  }

  /** @throws Failure */
  setLogLevel(request: SetLogLevelRequest): Promise<SetLogLevelResponse> {
    return callUnary(this.#client.setLogLevel.bind(this.#client), request, this.#context);
  }
}
