import type { Target as ApiTarget, WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { Turn } from '@spanmesh/runtime/turn';

/** The part of the server's side of a watch that is used here. */
export interface TargetStream {
  write(response: WatchTargetsResponse): boolean;
  end(): void;
  on(event: 'drain' | 'cancelled', fn: () => void): unknown;
}

/**
 * One watcher. What it has not read yet is remembered by name and shown as it is when it reads: it may miss what was in between,
 * never what is; and what waits is bounded by the number of targets.
 */
export class TargetWatch {
  readonly #stream: TargetStream;
  readonly #show: (name: string) => ApiTarget | null;
  readonly #onEnd: () => void;
  readonly #turn: Turn;
  /** Names at the start that it has not been shown yet. */
  #first: string[];
  #unread = new Set<string>();
  /** Names that it has been shown. */
  readonly #shown = new Set<string>();
  #isCurrent = false;
  #blocked = false;
  #ended = false;

  /** `names`: all that there are now; `show`: null if it is gone. */
  constructor(
    names: string[],
    deps: { stream: TargetStream; show: (name: string) => ApiTarget | null; onEnd: () => void },
  ) {
    this.#first = names.toReversed();
    this.#stream = deps.stream;
    this.#show = deps.show;
    this.#onEnd = deps.onEnd;
    this.#turn = new Turn(() => this.#pump());
    deps.stream.on('drain', () => {
      this.#blocked = false;
      this.#pump();
    });
    deps.stream.on('cancelled', () => this.#over());
    this.#turn.request();
  }

  /** A target has changed, or is gone. */
  changed(name: string): void {
    this.#unread.add(name);
    if (!this.#blocked) this.#turn.request();
  }

  /** Ends the stream, if it has not ended. */
  end(): void {
    if (this.#ended) return;
    this.#over();
    this.#stream.end();
  }

  /** Is told nothing more: its stream is ended by somebody else. */
  abandon(): void {
    this.#over();
  }

  #over(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#first = [];
    this.#unread.clear();
    this.#onEnd();
  }

  #pump(): void {
    while (!this.#blocked && !this.#ended) {
      const name = this.#first.pop();
      if (name !== undefined) {
        this.#tell(name);
      } else if (!this.#isCurrent) {
        this.#isCurrent = true;
        this.#write({ current: true });
      } else {
        const [next] = this.#unread;
        if (next === undefined) return;
        this.#tell(next);
      }
    }
  }

  #tell(name: string): void {
    this.#unread.delete(name);
    const target = this.#show(name);
    if (target !== null) {
      this.#shown.add(name);
      this.#write({ target });
    } else if (this.#shown.delete(name)) {
      this.#write({ removed: name });
    }
  }

  #write(event: Partial<WatchTargetsResponse>): void {
    this.#blocked = !this.#stream.write({ target: undefined, removed: undefined, current: undefined, ...event });
  }
}
