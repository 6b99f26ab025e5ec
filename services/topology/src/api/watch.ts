import type { Change, WatchRequest, WatchResponse } from '@spanmesh/proto/v1/topology';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { showChange } from '../show/show-change.ts';
import type { History } from '../trees/history.ts';
import type { RecordedChange } from '../trees/tree-events.ts';
import type { ResponseStream } from './send-all.ts';

/** A watch sends something at least this often, ms. */
export const PROGRESS_MS = 10_000;
/** How long a watch waits for a revision that a standby has not reached yet, ms. */
export const AHEAD_MS = 5000;
/** Changes, and ids of relays, in one message: some hundred kilobytes. One change has at most half of the ids. */
const MOST_CHANGES = 500;
const MOST_RELAY_IDS = 8192;

const FORGOTTEN = 'The history does not reach back to this revision.';
const ANOTHER =
  'This revision is of another history: of another leader, of an earlier life of it, or of another store.';

/** The part of the server's side of a watch that is used here. */
export interface WatchStream extends ResponseStream<WatchResponse> {
  on(event: 'drain' | 'cancelled', fn: () => void): unknown;
}

/**
 * One watch of the API. It follows the history at its own speed, without a queue of its own. If the history forgets a
 * batch that it has not sent yet, it sends `listAgain` as its last message.
 */
export class Watch {
  readonly #withRelays: boolean;
  readonly #stream: WatchStream;
  readonly #history: History;
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #unsubscribe: () => void = () => {};
  /** Number of the next batch to send. Undefined: the standby has not reached the revision to resume from yet. */
  #next: number | undefined;
  #last: string;
  /** The rest of the batch that is being sent. */
  #parts: Iterator<WatchResponse> | undefined;
  #blocked = false;
  #ended = false;
  #sentAt = 0;
  #timer: Timer | undefined;
  #patience: Timer | undefined;

  readonly #mayBeBehind: boolean;

  /**
   * Nothing happens before `begin`. `onEnd` is called once. `mayBeBehind`: the history is a standby's; a caller that
   * comes from another replica may have seen newer revisions.
   */
  constructor(
    request: WatchRequest,
    deps: { stream: WatchStream; history: History; clock: Clock; onEnd: () => void; mayBeBehind?: boolean },
  ) {
    this.#withRelays = request.withRelays;
    this.#stream = deps.stream;
    this.#history = deps.history;
    this.#clock = deps.clock;
    this.#onEnd = deps.onEnd;
    this.#mayBeBehind = deps.mayBeBehind ?? false;
    this.#last = request.revision;
  }

  /** Sends the first message, and the batches that are there already. Call it once. */
  begin(): void {
    const revision = this.#last === '' ? this.#history.revision : this.#last;
    this.#next = this.#history.after(revision);
    this.#last = revision;
    // Registered before `created` is sent, so that no batch is missed in between.
    this.#unsubscribe = this.#history.onBatch(() => this.#pump());
    this.#stream.on('drain', () => {
      this.#blocked = false;
      this.#pump();
    });
    this.#stream.on('cancelled', () => this.end());
    if (this.#next === undefined) {
      if (!this.#mayBeBehind || !this.#history.isAhead(revision)) {
        this.#listAgain(this.#whyUnknown());
        return;
      }
      this.#patience = this.#clock.after(AHEAD_MS, () => this.#listAgain(this.#whyUnknown()));
    }
    this.#send({ created: { revision } });
    this.#tick();
    this.#pump();
  }

  /** Ends the watch and its stream, if it has not ended. */
  end(): void {
    if (this.#ended) return;
    this.abandon();
    this.#stream.end();
  }

  /** Ends the watch without ending the stream, which the caller does. */
  abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    this.#timer?.cancel();
    this.#patience?.cancel();
    this.#onEnd();
  }

  /** Whether the history has reached the revision to resume from. */
  #hasBegun(): boolean {
    if (this.#next !== undefined) return true;
    this.#next = this.#history.after(this.#last);
    if (this.#next !== undefined) this.#patience?.cancel();
    else if (!this.#history.isAhead(this.#last)) this.#listAgain(this.#whyUnknown());
    return this.#next !== undefined;
  }

  #pump(): void {
    if (this.#ended || !this.#hasBegun()) return;
    while (!this.#blocked && !this.#ended) {
      const part = this.#parts?.next();
      if (part !== undefined && part.done !== true) {
        this.#send(part.value);
        continue;
      }
      const next = this.#next!;
      if (next >= this.#history.end) return;
      const batch = this.#history.batch(next);
      if (batch === undefined) {
        this.#listAgain('Changes came faster than this watch read them.');
        return;
      }
      if (batch.relaysMissing && this.#withRelays) {
        this.#listAgain('Too many relays changed at once.');
        return;
      }
      this.#next = next + 1;
      this.#last = batch.revision;
      this.#parts = this.#partsOf(batch.revision, batch.previous, batch.changes);
    }
  }

  /**
   * The messages of one batch. All but the last carry the previous revision, so that a client that resumes from one
   * gets the whole batch again.
   */
  *#partsOf(revision: string, previous: string, recorded: readonly RecordedChange[]): Iterator<WatchResponse> {
    let changes: Change[] = [];
    let ids = 0;
    for (const one of recorded) {
      for (const change of showChange(one, this.#withRelays)) {
        const more = change.relays?.lnkConns.length ?? 0;
        if (changes.length === MOST_CHANGES || ids + more > MOST_RELAY_IDS) {
          yield { changes: { revision: previous, changes } };
          changes = [];
          ids = 0;
        }
        changes.push(change);
        ids += more;
      }
    }
    if (changes.length > 0) yield { changes: { revision, changes } };
  }

  #send(response: WatchResponse): void {
    this.#sentAt = this.#clock.now();
    this.#blocked = !this.#stream.write(response);
  }

  #tick(): void {
    const quiet = this.#clock.now() - this.#sentAt;
    if (quiet >= PROGRESS_MS && !this.#blocked) this.#send({ progress: { revision: this.#last } });
    const wait = quiet >= PROGRESS_MS ? PROGRESS_MS : PROGRESS_MS - quiet;
    this.#timer = this.#clock.after(wait, () => this.#tick());
  }

  #whyUnknown(): string {
    return this.#history.isOurs(this.#last) ? FORGOTTEN : ANOTHER;
  }

  #listAgain(reason: string): void {
    this.#send({ listAgain: { reason, revision: this.#history.revision } });
    this.end();
  }
}
