import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';

/** A gRPC server on a port of its own, with one service; it can die and come back at the same address. */
export class FakeServer {
  readonly #definition: ServiceDefinition;
  readonly #implementation: UntypedServiceImplementation;
  #server = new Server();
  #port = 0;

  constructor(definition: ServiceDefinition, implementation: UntypedServiceImplementation) {
    this.#definition = definition;
    this.#implementation = implementation;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#server = new Server();
    this.#server.addService(this.#definition, this.#implementation);
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.#port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  /** Ends all calls at once, as a process that dies does. */
  stop(): void {
    this.#server.forceShutdown();
  }
}
