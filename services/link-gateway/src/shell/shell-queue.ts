import type { ShellOutput } from './shell-output.ts';

/** A shell command that came, and where its output goes. */
export interface ShellCommand {
  readonly text: string;
  readonly output: ShellOutput;
}

/**
 * The shell commands of one connection: one at a time, in order, the others wait, a bounded number of them. Commands that
 * are done at once (`run` returns null) are answered within the call that brought them.
 */
export class ShellQueue {
  readonly #limit: number;
  readonly #run: (command: ShellCommand) => Promise<void> | null;
  #waiting: ShellCommand[] = [];
  #running = false;

  constructor(limit: number, run: (command: ShellCommand) => Promise<void> | null) {
    this.#limit = limit;
    this.#run = run;
  }

  /** False: too many wait already. */
  push(command: ShellCommand): boolean {
    if (this.#waiting.length >= this.#limit) return false;
    this.#waiting.push(command);
    if (!this.#running) this.#next();
    return true;
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = [];
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
