import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { UUID_TEXT } from '@spanmesh/dmsg/uuid';
import { dialectOf } from '@spanmesh/proto/dialect';
import {
  type Target as ApiTarget,
  TargetState as ApiTargetState,
  type GetTargetResponse,
  type ListTargetsRequest,
  type ListTargetsResponse,
  type RemoveTargetRequest,
  type RemoveTargetResponse,
  type SetTargetRequest,
  type SetTargetResponse,
  type VolconfServer,
  type WatchTargetsRequest,
  type WatchTargetsResponse,
} from '@spanmesh/proto/v1/volconf';
import { apiPrincipal } from '@spanmesh/runtime/access/api-principal';
import type { Clock } from '@spanmesh/runtime/clock';
import { ApiError, FaultLog, invalid } from '@spanmesh/runtime/grpc/api-error';
import { CallShares } from '@spanmesh/runtime/grpc/call-shares';
import { type Key, pageOfUnsorted } from '@spanmesh/runtime/grpc/paging';
import { Slices } from '@spanmesh/runtime/grpc/slices';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { MAX_WATCHES, MAX_WATCHES_PER_USER } from './limits.ts';
import { showOperator, showSlot, showStored, type Times, type View } from './show-target.ts';
import type { Slot } from './slots/slot.ts';
import { parseSpanPath } from './slots/span-path.ts';
import { OperatorTargetError, type OperatorTargets } from './targets/operator-targets.ts';
import { TargetWatch } from './targets/target-watch.ts';
import type { Term } from './term.ts';

/** volconf.proto, SetTargetRequest. A key of the store may not have two dots side by side. */
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const MAX_NAME_CHARS = 63;

export interface ApiDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The current term; null: this replica does not lead. */
  readonly term: () => Term | null;
  /** Why this replica does not answer, as a sentence that says which replica to ask. */
  readonly notLeading: () => string;
  /** Targets of operators; null: not started yet. */
  readonly operators: () => OperatorTargets | null;
}

/** A target by its source: a slot, or an operator's target by name. */
type Known = { readonly slot: Slot } | { readonly operator: string };

/** The Volconf service of volconf.proto. */
export class Api {
  readonly #options: { readonly defaultPort: number };
  readonly #deps: ApiDeps;
  /** The answers being made, in slices. */
  readonly slices = new Slices();
  readonly #watches = new Set<TargetWatch>();
  readonly #shares: CallShares<'watches'>;
  readonly #faults: FaultLog;

  constructor(options: { defaultPort: number }, deps: ApiDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#faults = new FaultLog({ service: 'volconf' }, deps);
    this.#shares = new CallShares({ watches: { total: MAX_WATCHES, share: MAX_WATCHES_PER_USER } }, deps);
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** The handlers for a gRPC server. */
  readonly implementation: Pick<
    VolconfServer,
    'listTargets' | 'getTarget' | 'setTarget' | 'removeTarget' | 'watchTargets'
  > = {
    listTargets: this.#unary((request: ListTargetsRequest) => this.#list(request)),
    getTarget: this.#unary(({ name }: { name: string }): GetTargetResponse => ({ target: this.#get(name) })),
    setTarget: this.#unary((request: SetTargetRequest) => this.#set(request)),
    removeTarget: this.#unary((request: RemoveTargetRequest) => this.#remove(request)),
    watchTargets: ((call) => this.#watch(call)) as handleServerStreamingCall<WatchTargetsRequest, WatchTargetsResponse>,
  };

  /** Reports to all watches that the target of this name has changed or is gone. */
  changed(name: string): void {
    for (const watch of this.#watches) watch.changed(name);
  }

  /** Ends all watches: the replica stops, or does not lead any more. */
  endWatches(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  async #list(request: ListTargetsRequest): Promise<ListTargetsResponse> {
    const term = this.#leading();
    const { mediaId } = request;
    if (mediaId !== '' && (!UUID_TEXT.test(mediaId) || mediaId !== mediaId.toLowerCase())) {
      throw invalid('media_id must be a canonical uuid, in lower case, or empty.');
    }
    const view = this.#view(term);
    const { state } = request;
    const isMeant = (known: Known) =>
      state === ApiTargetState.TARGET_STATE_UNSPECIFIED || this.#show(term, known, view)?.state === state;
    const { items, nextPageToken } = await this.slices.run(
      pageOfUnsorted(filtered(this.#known(term, request.mediaId), isMeant), request, keyOf),
    );
    // Some targets may have gone since they were listed.
    return { targets: items.flatMap((known) => this.#show(term, known, view) ?? []), nextPageToken };
  }

  #get(name: string): ApiTarget {
    const target = this.#byName(this.#leading(), name);
    if (target === null) throw new ApiError(status.NOT_FOUND, `There is no target ${name.slice(0, 100)}.`);
    return target;
  }

  async #set({ name, path, dialect }: SetTargetRequest): Promise<SetTargetResponse> {
    checkName(name);
    if (parseSpanPath(path, this.#options.defaultPort) === null) {
      throw invalid('path must be span:HOST, span:HOST:PORT or span:[V6]:PORT.');
    }
    const asked = { name, path, dialect: dialectOf(dialect) ?? ('auto' as const) };
    await this.#store((operators) => operators.set(asked));
    const term = this.#deps.term();
    const known = term?.operator(name);
    const isShown = known?.asked.path === path && known.asked.dialect === asked.dialect;
    if (term === null || known === undefined || !isShown) return { target: showStored(asked, this.#times()) };
    return { target: showOperator(known.asked, known.target, this.#view(term)) };
  }

  async #remove({ name }: RemoveTargetRequest): Promise<RemoveTargetResponse> {
    checkName(name);
    await this.#store((operators) => operators.remove(name));
    return {};
  }

  async #store(change: (operators: OperatorTargets) => Promise<void>): Promise<void> {
    const operators = this.#deps.operators();
    if (operators === null) throw new ApiError(status.UNAVAILABLE, 'The service is starting: try again.');
    try {
      await change(operators);
    } catch (error) {
      if (!(error instanceof OperatorTargetError)) throw error;
      const code =
        error.code === 'missing'
          ? status.NOT_FOUND
          : error.code === 'too-many'
            ? status.RESOURCE_EXHAUSTED
            : status.UNAVAILABLE;
      throw new ApiError(code, error.message, { cause: error });
    }
  }

  #watch(call: ServerWritableStream<WatchTargetsRequest, WatchTargetsResponse>): void {
    try {
      const term = this.#leading();
      const close = this.#shares.begin('watches', apiPrincipal(call), (error) => {
        watch.abandon();
        call.emit('error', error);
      });
      const names = [...this.#known(term, '')].map((known) => ('slot' in known ? known.slot.name : known.operator));
      // Registered before the first message is sent, so that no change is missed in between.
      const watch: TargetWatch = new TargetWatch(names, {
        stream: call,
        show: (name) => {
          const now = this.#deps.term();
          return now === null ? null : this.#byName(now, name);
        },
        onEnd: () => {
          this.#watches.delete(watch);
          close();
        },
      });
      this.#watches.add(watch);
    } catch (error) {
      call.emit('error', this.#report(error));
    }
  }

  *#known(term: Term, mediaId: string): Iterable<Known> {
    for (const slot of term.media.all(mediaId)) yield { slot };
    if (mediaId !== '') return;
    for (const [operator] of term.operators()) yield { operator };
  }

  #byName(term: Term, name: string): ApiTarget | null {
    const [, mediaId, index] = /^([^/]*)\/(\d{1,3})$/.exec(name) ?? [];
    const slot = mediaId === undefined ? undefined : term.media.slot(mediaId, Number(index));
    return this.#show(term, slot === undefined ? { operator: name } : { slot }, this.#view(term));
  }

  #show(term: Term, known: Known, view: View): ApiTarget | null {
    if ('slot' in known) return showSlot(known.slot, view);
    const operated = term.operator(known.operator);
    return operated === undefined ? null : showOperator(operated.asked, operated.target, view);
  }

  #view(term: Term): View {
    return { ...this.#times(), idOf: (gateway) => term.fleet.idOf(gateway) };
  }

  #times(): Times {
    const { clock } = this.#deps;
    return { now: clock.now(), wall: clock.wall() };
  }

  /** A handler that answers at the leader only, as no other replica knows the targets and their states. */
  #leading(): Term {
    const term = this.#deps.term();
    if (term === null) throw new ApiError(status.UNAVAILABLE, this.#deps.notLeading());
    return term;
  }

  #unary<Request, Answer>(answer: (request: Request) => Answer | Promise<Answer>): handleUnaryCall<Request, Answer> {
    return (call, callback: sendUnaryData<Answer>) => {
      // Also catches what is thrown before there is a promise.
      Promise.resolve()
        .then(() => answer(call.request))
        .then(
          (response) => callback(null, response),
          (error: unknown) => callback(this.#report(error)),
        );
    };
  }

  #report(error: unknown): ApiError {
    return this.#faults.report(error);
  }
}

/** The order of lists: slots by media and index, then operators' targets by name. */
function keyOf(known: Known): Key {
  return 'slot' in known ? [0, known.slot.key, known.slot.index] : [1, known.operator, 0];
}

/** The targets with null in place of those that do not match, so that these count as looked at, too. */
function* filtered(all: Iterable<Known>, isMeant: (known: Known) => boolean): Iterable<Known | null> {
  for (const known of all) yield isMeant(known) ? known : null;
}

/** @throws ApiError */
function checkName(name: string): void {
  if (!NAME.test(name) || name.length > MAX_NAME_CHARS || name.includes('..')) {
    throw invalid(
      'name must be made of a-z, 0-9, - and single dots, begin and end with a letter or digit, 63 characters at most.',
    );
  }
}
