import {
  type ListProcessesResponse,
  ProcessClient,
  type SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import type { CallContext } from './call-failure.ts';
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

  /** @throws Failure */
  setLogLevel(request: SetLogLevelRequest): Promise<SetLogLevelResponse> {
    return callUnary(this.#client.setLogLevel.bind(this.#client), request, this.#context);
  }
}
