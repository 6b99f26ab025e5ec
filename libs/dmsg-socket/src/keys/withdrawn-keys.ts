import { masked, type Prefix, prefixText } from '../address/prefix.ts';
import type { KeyFiles, KeyProblem, PeerFiles } from './key-files.ts';
import { MAX_WITHDRAWN_KEYS } from './limits.ts';
import { isRevocation, type PeerAccess, PeerRules, type PrefixRule } from './peer-rules.ts';

/** A peer or prefix that has had a .pub. */
export interface SeenKey {
  readonly prefix: Prefix;
  /** A .none was beside the .pub, and has been there ever since: it does not allow plaintext. */
  readonly besideNone: boolean;
}

/** The result of reading a keys directory, with what is remembered of earlier ones. */
export interface Decided {
  readonly rules: PeerRules;
  readonly problems: readonly KeyProblem[];
  /** Number of peers and prefixes that have files. */
  readonly peers: number;
  /** Milliseconds until a missing file counts as taken away; null: no file is missing. */
  readonly againInMs: number | null;
}

/**
 * What became of a peer's .pub:
 * * present: it exists.
 * * missing: it is gone since `since`. Perhaps it is only being replaced, so `access` still applies.
 * * withdrawn: it was taken away.
 */
type KeyState =
  | { readonly kind: 'present'; readonly access: PeerAccess }
  | { readonly kind: 'missing'; readonly access: PeerAccess; readonly since: number }
  | { readonly kind: 'withdrawn' };

/** What is remembered of a peer or prefix that has had a .pub. */
interface Known {
  readonly prefix: Prefix;
  besideNone: boolean;
  state: KeyState;
}

/**
 * Remembers which peers have had keys. An operator who removes a .pub wants to keep its peer out; without this memory a
 * wider rule, or a .none that was there all the time, would let the peer in in plaintext. The peer stays out until an
 * operator adds a .none for exactly it afterwards.
 */
export class WithdrawnKeys {
  readonly #absenceMs: number;
  readonly #known = new Map<string, Known>();

  /**
   * @param options.absenceMs how long a key stays valid after its .pub is gone.
   * @param seen from an earlier run.
   */
  constructor({ absenceMs }: { readonly absenceMs: number }, seen: readonly SeenKey[] = []) {
    this.#absenceMs = absenceMs;
    for (const { prefix, besideNone } of seen) {
      this.#known.set(prefixText(prefix), { prefix, besideNone, state: { kind: 'withdrawn' } });
    }
  }

  /** All peers and prefixes that have had a .pub and were not forgotten. */
  get seen(): readonly SeenKey[] {
    return [...this.#known.values()];
  }

  /** The rules for the files in the directory at `now` (ms, monotonic). */
  decide({ peers, problems }: KeyFiles, now: number): Decided {
    const files = new Map(peers.map((peer) => [prefixText(peer.prefix), peer]));
    const rules = new Map<string, PrefixRule>(files);
    const withdrawn: KeyProblem[] = [];
    let againInMs: number | null = null;
    for (const [name, peer] of files) if (peer.pub !== null) this.#present(name, peer);
    for (const [name, known] of this.#known) {
      const peer = files.get(name);
      if (typeof peer?.pub === 'string') continue;
      if (this.#isConfirmed(known, peer)) {
        this.#known.delete(name);
        continue;
      }
      known.state = next(known.state, now, this.#absenceMs);
      const { state } = known;
      if (state.kind === 'missing') {
        const left = this.#absenceMs - (now - state.since);
        againInMs = Math.min(againInMs ?? left, left);
        // A .refused applies at once.
        if (peer === undefined || !isRevocation(peer)) rules.set(name, { prefix: known.prefix, access: state.access });
        continue;
      }
      const plaintext = plaintextBy(known.prefix, files);
      if (plaintext === null) continue;
      const problem = withdrawnBecause(known, plaintext);
      withdrawn.push(problem);
      const { file, problem: why } = problem;
      rules.set(name, { prefix: known.prefix, access: { kind: 'refused', file, refusal: 'key-withdrawn', why } });
    }
    this.#forgetSome();
    return {
      rules: new PeerRules([...rules.values()]),
      problems: [...problems, ...withdrawn],
      peers: peers.length,
      againInMs,
    };
  }

  #present(name: string, { prefix, access, none }: PeerFiles): void {
    const known = this.#known.get(name);
    const state = { kind: 'present', access } as const;
    const besideNone = none !== null;
    if (known === undefined) this.#known.set(name, { prefix, besideNone, state });
    else {
      known.besideNone = besideNone;
      known.state = state;
    }
  }

  /**
   * Whether the operator has allowed plaintext: by a .none of the same name that was added after the .pub was removed.
   */
  #isConfirmed(known: Known, peer: PeerFiles | undefined): boolean {
    if (peer === undefined || peer.none === null) {
      known.besideNone = false;
      return false;
    }
    return !known.besideNone;
  }

  #forgetSome(): void {
    let withdrawn = 0;
    for (const { state } of this.#known.values()) if (state.kind === 'withdrawn') withdrawn++;
    for (const [name, { state }] of this.#known) {
      if (withdrawn <= MAX_WITHDRAWN_KEYS) return;
      if (state.kind !== 'withdrawn') continue;
      this.#known.delete(name);
      withdrawn--;
    }
  }
}

/** The state of a key whose .pub is missing. */
function next(state: KeyState, now: number, absenceMs: number): KeyState {
  if (state.kind === 'withdrawn') return state;
  const since = state.kind === 'missing' ? state.since : now;
  return now - since < absenceMs ? { kind: 'missing', access: state.access, since } : { kind: 'withdrawn' };
}

/** The file that would give a prefix's peers plaintext: the one of the same name, or of the next wider rule. */
function plaintextBy(prefix: Prefix, files: ReadonlyMap<string, PeerFiles>): string | null {
  for (let { bits } = prefix; bits >= 0; bits--) {
    const rule = files.get(prefixText({ address: masked(prefix.address, bits), bits }));
    if (rule !== undefined) return rule.access.kind === 'plaintext' ? rule.access.file : null;
  }
  return null;
}

function withdrawnBecause({ prefix, besideNone }: Known, plaintext: string): KeyProblem {
  const name = `remote/${prefixText(prefix).replace('/', '_')}`;
  const allow = besideNone ? `remove ${plaintext}, wait ten seconds and put it there again` : `put ${name}.none there`;
  const problem =
    `was taken away, and ${plaintext} would let its peer in in plaintext; it is refused. ` +
    `To keep it out for good put ${name}.refused there; to allow plaintext ${allow}`;
  return { file: `${name}.pub`, problem };
}
