/** A change that nothing can notice, or that nobody would want to be noticed. */
export interface Equivalent {
  /** From the root of the project. */
  readonly file: string;
  /** The whole line that it changes, trimmed. */
  readonly line: string;
  readonly kind: string;
  readonly replace: string;
  readonly why: string;
}

/** They are not made. One whose line has changed counts again. */
export const EQUIVALENTS: readonly Equivalent[] = [
  {
    file: 'services/volconf/src/slots/media.ts',
    line: 'this.#unconfirmed.set(gateway, new Set(this.#lnkConns.get(gateway)?.keys() ?? []));',
    kind: 'logic',
    replace: '([])',
    why: 'a set made of undefined is empty, too',
  },
  {
    file: 'services/volconf/src/slots/media.ts',
    line: 'this.#unconfirmed.set(gateway, new Set(this.#lnkConns.get(gateway)?.keys() ?? []));',
    kind: 'logic',
    replace: '(this.#lnkConns.get(gateway)?.keys())',
    why: 'a set made of undefined is empty, too',
  },
  {
    file: 'services/volconf/src/slots/media.ts',
    line: "for (const { id, owner } of mediaId === '' || mediaId === NIL_MEDIA ? this.#media.values() : this.#named(mediaId)) {",
    kind: 'condition',
    replace: 'true',
    why: 'all are looked at, and those of another id passed over: it only takes longer',
  },
  {
    file: 'services/volconf/src/slots/timer-heap.ts',
    line: 'this.#timer = null;',
    kind: 'assignment',
    replace: ';',
    why: 'a timer that has fired or is cancelled may be cancelled once more',
  },
  {
    file: 'services/volconf/src/targets/operator-targets.ts',
    line: 'if (this.#running && this.#watch === null) void this.#open();',
    kind: 'logic',
    replace: '(this.#running)',
    why: 'a retry is due only after an attempt that failed: there is no watch then',
  },
  {
    file: 'services/volconf/src/targets/operator-targets.ts',
    line: 'if (value === null) return null;',
    kind: 'condition',
    replace: 'false',
    why: 'what cannot be decoded is null, too',
  },
  {
    file: 'services/volconf/src/targets/target-watch.ts',
    line: 'if (!this.#blocked) this.#turn.request();',
    kind: 'condition',
    replace: 'true',
    why: 'while the reader is behind, the turn does nothing',
  },
  {
    file: 'services/volconf/src/targets/target-watch.ts',
    line: 'this.#first = [];',
    kind: 'assignment',
    replace: ';',
    why: 'nothing is sent once it has ended: this lets go of memory',
  },
  {
    file: 'services/volconf/src/targets/target-watch.ts',
    line: 'this.#unread.clear();',
    kind: 'call',
    replace: ';',
    why: 'nothing is sent once it has ended: this lets go of memory',
  },
  {
    file: 'services/volconf/src/gateways/gateway-link.ts',
    line: "const mine = () => this.#state.kind !== 'closed' && 'stream' in this.#state && this.#state.stream === stream;",
    kind: 'logic',
    replace: "('stream' in this.#state)",
    why: 'a state without a stream has none that is ours',
  },
  {
    file: 'services/volconf/src/gateways/gateway-link.ts',
    line: "const mine = () => this.#state.kind !== 'closed' && 'stream' in this.#state && this.#state.stream === stream;",
    kind: 'logic',
    replace: "(this.#state.kind !== 'closed')",
    why: 'a state without a stream has none that is ours',
  },
  {
    file: 'services/volconf/src/gateways/gateway-link.ts',
    line: "const mine = () => this.#state.kind !== 'closed' && 'stream' in this.#state && this.#state.stream === stream;",
    kind: 'logic',
    replace: "(this.#state.kind !== 'closed' && 'stream' in this.#state)",
    why: 'a state without a stream has none that is ours',
  },
  {
    file: 'services/volconf/src/gateways/gateway-link.ts',
    line: "const mine = () => this.#state.kind !== 'closed' && 'stream' in this.#state && this.#state.stream === stream;",
    kind: 'logic',
    replace: '(this.#state.stream === stream)',
    why: 'a state without a stream has none that is ours',
  },
  {
    file: 'services/volconf/src/gateways/gateway-link.ts',
    line: "if (state.kind !== 'reading' && state.kind !== 'live') return;",
    kind: 'condition',
    replace: 'false',
    why: 'for the checker of types: messages are taken of the stream of a state that has one',
  },
  {
    file: 'services/volconf/src/targets/autoconn-file.ts',
    line: 'const problem = error instanceof Error ? error.message : String(error);',
    kind: 'condition',
    replace: 'false',
    why: 'the file system throws nothing but errors',
  },
  {
    file: 'services/volconf/src/targets/autoconn-file.ts',
    line: 'const problem = error instanceof Error ? error.message : String(error);',
    kind: 'condition',
    replace: 'true',
    why: 'the file system throws nothing but errors',
  },
  {
    file: 'services/volconf/src/targets/autoconn-file.ts',
    line: "if (!found.isFile()) throw new Error('it is not a file');",
    kind: 'throw',
    replace: ';',
    why: 'to read a directory fails, too',
  },
  {
    file: 'services/volconf/src/slots/slot-shares.ts',
    line: 'for (const all of this.#of.values()) if (all.length > most.length) most = all;',
    kind: 'boundary',
    replace: '(all.length) >= (most.length)',
    why: 'of those who have most any may give way',
  },
  {
    file: 'services/volconf/src/slots/slot-shares.ts',
    line: 'if (slot !== undefined) this.delete(slot);',
    kind: 'condition',
    replace: 'true',
    why: 'for the checker of types: who has most has one',
  },
  {
    file: 'services/volconf/src/slots/rendezvous.ts',
    line: 'let bestRank = -1;',
    kind: 'constant',
    replace: '(1 + 1)',
    why: 'no rank is lower than 0, and one of 0 comes once in four thousand million',
  },
  {
    file: 'services/volconf/src/slots/rendezvous.ts',
    line: 'return (h ^ (h >>> 16)) >>> 0;',
    kind: 'constant',
    replace: '(0 + 1)',
    why: 'half of each rank: their order stays',
  },
  {
    file: 'services/volconf/src/slots/rendezvous.ts',
    line: 'if (rank > bestRank || (rank === bestRank && name > bestName)) {',
    kind: 'logic',
    replace: '(rank > bestRank)',
    why: 'two ranks are equal once in four thousand million',
  },
  {
    file: 'services/volconf/src/slots/slot.ts',
    line: 'return (priority & PRIORITY) + ((priority & MEDIA_ERROR) !== 0 ? 0 : PRIORITY + 1);',
    kind: 'constant',
    replace: '(1 + 1)',
    why: 'a gap between two ranks changes no order',
  },
];
