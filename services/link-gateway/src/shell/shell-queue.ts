import type { ShellOutput } from './shell-output.ts';

/** A shell command of a peer, and its output. */
export interface ShellCommand {
  readonly text: string;
  readonly output: ShellOutput;
}

/**
 * Runs the shell commands of one connection one at a time, in order; a bounded number of others wait. A command that is
 * done at once (`run` returns null) is answered within the call that brought it.
 */
export class ShellQueue {
  readonly #limit: number;
  readonly #run: (command: ShellCommand) => Promise<void> | null;
  readonly #waiting: ShellCommand[] = [];
  #running = false;

  constructor(limit: number, run: (command: ShellCommand) => Promise<void> | null) {
    this.#limit = limit;
    this.#run = run;
  }

  /** Runs the command, or lets it wait. False: too many wait already. */
  push(command: ShellCommand): boolean {
    if (this.#waiting.length >= this.#limit) return false;
    this.#waiting.push(command);
    if (!this.#running) this.#next();
    return true;
  }

  #next(): void {
    for (let command = this.#waiting.shift(); command !== undefined; command = this.#waiting.shift()) {
      const running = this.#run(command);
      if (running === null) continue;
      this.#running = true;
      const goOn = () => {
        this.#running = false;
        this.#next();
      };
      running.then(goOn, goOn);
      return;
    }
  }
}
