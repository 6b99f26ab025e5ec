import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A load generator in a process of its own. It gets one order at a time over IPC, and answers each. */
export class GeneratorProcess<Order, Done> {
  readonly #child: ChildProcess;
  #answer: Pick<PromiseWithResolvers<Done>, 'resolve' | 'reject'> | null = null;

  /** `file`: URL of its program. */
  constructor(file: URL) {
    this.#child = fork(fileURLToPath(file));
    this.#child.on('message', (done: Done) => this.#answer?.resolve(done));
    this.#child.on('exit', (code) => this.#answer?.reject(new Error(`the load generator ended: exit code ${code}`)));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  order(order: Order & object): Promise<Done> {
    const { promise, resolve, reject } = Promise.withResolvers<Done>();
    this.#answer = { resolve, reject };
    this.#child.send(order);
    return promise;
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
