import type { Target as ApiTarget, WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { Turn } from '@spanmesh/runtime/turn';

/** The part of the server's side of a watch that is used here. */
export interface TargetStream {
  write(response: WatchTargetsResponse): boolean;
  end(): void;
  on(event: 'drain' | 'cancelled', fn: () => void): unknown;
}

/**
 * One watch of targets. It remembers changes by name and sends a target's state at the time when the client reads:
 * intermediate states may be missed, the present one never is. So its memory is limited by the number of targets.
 */
export class TargetWatch {
  readonly #stream: TargetStream;
  readonly #show: (name: string) => ApiTarget | null;
  readonly #onEnd: () => void;
  readonly #turn: Turn;
  /** Names of the targets at the start that it has not sent yet. */
  #first: string[];
  #unread = new Set<string>();
  /** Names of targets that it has sent. */
  readonly #shown = new Set<string>();
  #isCurrent = false;
  #blocked = false;
  #ended = false;

  /** `names`: all targets at present; `show`: a target's present state, null if it is gone. */
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

  /** Ends the watch and its stream, if it has not ended. */
  end(): void {
    if (this.#ended) return;
    this.#over();
    this.#stream.end();
  }

  /** Ends the watch without ending the stream, which the caller does. */
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
