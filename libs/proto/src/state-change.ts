import type { RelaySet } from '../gen/spanmesh/v1/gateway_control.ts';
import { StateChange } from '../gen/spanmesh/v1/gateway_control.ts';

// The fields of a StateChange in one table, from which size, division and appending are derived, on both sides of
// Attach. A field that is new in the proto and missing here does not compile.

/**
 * Encoded sizes in bytes, upper limits: of a number in a packed list, and of messages without their parts of variable
 * size.
 */
const NUMBER_BYTES = 10;
const ENTRY_BYTES = 72;
/** A context of 25 bytes with its tag and length. */
const TRACE_BYTES = 27;
const CONNECTION_BYTES = 640;
const REFUSAL_BYTES = 120;
/** A reason of 256 characters may take four bytes for each; a closing connection's entry has its reason, too. */
const REASON_BYTES = 1100;
/** Labels of 127 characters may take two bytes each. */
const CLUSTER_KEY_BYTES = 320;
/** A link's gateway, its number, and the tags. */
const LINK_REF_BYTES = 96;
/** Id of a drain's order (64 characters), and its numbers. */
const DRAIN_BYTES = 120;
/** A gateway's id in a list of ids. */
const GATEWAY_BYTES = 76;
/** A text in a list of texts, without its characters, which may take four bytes each. */
const TEXT_BYTES = 4;
/** Numbers of one relay set that go into one message. */
const MOST_NUMBERS = 65_536;

/** Names of the fields that are lists. */
export type ListName = {
  [Name in keyof StateChange]: StateChange[Name] extends readonly unknown[] ? Name : never;
}[keyof StateChange];

/** What a list has in it. */
export type Entry<Name extends ListName> = StateChange[Name][number];

type Lists = { [Name in ListName]: Entry<Name>[] };

/** The rules for one list. */
interface ListRule<T> {
  /** Upper limit of an entry's encoded bytes. */
  readonly bytes: (entry: T) => number;
  /** Whether a snapshot has this list; a delta has every list. */
  readonly inSnapshot: boolean;
  /**
   * Divides an entry that is too large for a message into several with the same meaning; missing for lists whose
   * entries are never too large.
   */
  readonly divide?: (entry: T) => Iterable<T>;
  /** The number of things in an entry that count against a snapshot's limit; default: 1. */
  readonly count?: (entry: T) => number;
}

/** The rules for a field that is no list. */
interface ValueRule<T> {
  /** Whether the field says anything. */
  readonly isSet: (value: T) => boolean;
  readonly bytes: (value: T) => number;
  /** The value that two messages, one after the other, give together. */
  readonly merge: (before: T, after: T) => T;
  /**
   * Whether the field goes into the last of the parts that are made together; otherwise into any part that has room.
   */
  readonly isLast: boolean;
}

const number = () => NUMBER_BYTES;
const withPayload = ({ payload }: { readonly payload: Uint8Array }) => ENTRY_BYTES + payload.length;
const relays = {
  bytes: ({ lnkConns }: RelaySet) => LINK_REF_BYTES + NUMBER_BYTES * lnkConns.length,
  divide: divided,
  count: ({ lnkConns }: RelaySet) => 1 + lnkConns.length,
};

/**
 * In the order in which the parts of a change are sent, so that the receiver can apply one part after the other: an
 * opening comes before anything that is opened on it, closings come last, and a hold comes before its release.
 */
const LISTS: { readonly [Name in ListName]: ListRule<Entry<Name>> } = {
  connectionsOpened: {
    bytes: ({ owner, closing, principal }) =>
      CONNECTION_BYTES + 4 * (owner.length + principal.length) + (closing === '' ? 0 : REASON_BYTES),
    inSnapshot: true,
  },
  lnkConnsOpened: { bytes: withPayload, inSnapshot: true },
  linksOpened: { bytes: (link) => withPayload(link) + (link.trace === undefined ? 0 : TRACE_BYTES), inSnapshot: true },
  linkStatuses: { bytes: () => ENTRY_BYTES, inSnapshot: true },
  clustersHeld: { bytes: () => CLUSTER_KEY_BYTES, inSnapshot: true },
  clustersReleased: { bytes: () => CLUSTER_KEY_BYTES, inSnapshot: false },
  linksKnown: { bytes: () => LINK_REF_BYTES, inSnapshot: true },
  relaysOpen: { ...relays, inSnapshot: true },
  refusals: { bytes: () => REFUSAL_BYTES, inSnapshot: true },
  onDemandOpened: { ...relays, inSnapshot: true },
  onDemandClosed: { ...relays, inSnapshot: false },
  connectionsAlive: { bytes: number, inSnapshot: false },
  connectionsClosing: { bytes: () => REASON_BYTES, inSnapshot: false },
  linksClosed: { bytes: number, inSnapshot: false },
  lnkConnsClosed: { bytes: number, inSnapshot: false },
  connectionsClosed: { bytes: number, inSnapshot: false },
  drains: { bytes: () => DRAIN_BYTES, inSnapshot: true },
};

type ValueName = Exclude<keyof StateChange, ListName>;

/** Snapshots have all of these, too. */
const VALUES: { readonly [Name in ValueName]: ValueRule<StateChange[Name]> } = {
  trunks: {
    isSet: (trunks) => trunks !== undefined,
    bytes: (trunks) => ENTRY_BYTES + GATEWAY_BYTES * (trunks!.established.length + trunks!.unreachable.length),
    // A message that has this field has the complete value, so a later one replaces it.
    merge: (before, after) => after ?? before,
    isLast: false,
  },
  withheld: {
    isSet: (withheld) => withheld !== undefined,
    bytes: (withheld) =>
      (withheld?.principals ?? []).reduce((sum, { length }) => sum + TEXT_BYTES + 4 * length, ENTRY_BYTES),
    // The list is always complete, so a later one replaces it.
    merge: (before, after) => after ?? before,
    isLast: false,
  },
  stopping: {
    isSet: (stopping) => stopping,
    bytes: number,
    merge: (before, after) => before || after,
    isLast: false,
  },
  lastNumber: { isSet: (last) => last > 0, bytes: number, merge: Math.max, isLast: true },
  obeyed: { isSet: (obeyed) => obeyed > 0, bytes: number, merge: Math.max, isLast: true },
};

/** The names of the lists, in the order in which they are sent. */
export const LIST_NAMES = Object.keys(LISTS) as readonly ListName[];
const VALUE_NAMES = Object.keys(VALUES) as readonly ValueName[];

/** Upper limit of the encoded bytes of a list's entry. */
export function bytesOf<Name extends ListName>(name: Name, entry: Entry<Name>): number {
  return LISTS[name].bytes(entry);
}

/**
 * Appends a part of a snapshot to the parts before it; returns the number of things in the part that count against a
 * snapshot's limit.
 */
export function appendSnapshot(to: StateChange, part: StateChange): number {
  let count = 0;
  for (const name of LIST_NAMES) if (LISTS[name].inSnapshot) count += appendList(name, to, part);
  for (const name of VALUE_NAMES) mergeValue(name, to, part);
  return count;
}

/** Appends a delta to the one before: the result has the same effect as the two, one after the other. */
export function append(to: StateChange, delta: StateChange): void {
  for (const name of LIST_NAMES) appendList(name, to, delta);
  for (const name of VALUE_NAMES) mergeValue(name, to, delta);
}

/**
 * State changes of at most `maxBytes`, made entry by entry: a snapshot, or the parts of a large delta. Entries are not
 * copied.
 */
export class StateChangeParts {
  /** The parts, in order; empty: nothing was put in. */
  readonly all: StateChange[] = [];
  readonly #maxBytes: number;
  #part: StateChange = StateChange.create();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  put<Name extends ListName>(name: Name, whole: Entry<Name>): void {
    const { bytes, divide } = LISTS[name];
    if (divide === undefined) this.#put(name, whole, bytes(whole));
    else for (const entry of divide(whole)) this.#put(name, entry, bytes(entry));
  }

  /** Puts in the gateway's trunks to other gateways. */
  trunks(trunks: StateChange['trunks']): void {
    this.#set('trunks', trunks);
  }

  /** Puts in the principals whose links at other gateways the gateway does not relay. */
  withheld(withheld: StateChange['withheld']): void {
    this.#set('withheld', withheld);
  }

  stopping(stopping: boolean): void {
    this.#set('stopping', stopping);
  }

  /** Puts in all fields of a change except those of the last part (`isLast`), which the sender of the parts adds. */
  putAll(change: StateChange): void {
    for (const name of LIST_NAMES) this.#putList(name, change);
    for (const name of VALUE_NAMES) if (!VALUES[name].isLast) this.#set(name, change[name]);
  }

  #putList<Name extends ListName>(name: Name, change: StateChange): void {
    for (const entry of (change as Lists)[name]) this.put(name, entry);
  }

  #put<Name extends ListName>(name: Name, entry: Entry<Name>, bytes: number): void {
    (this.#room(bytes) as Lists)[name].push(entry);
  }

  #set<Name extends ValueName>(name: Name, value: StateChange[Name]): void {
    const { isSet, bytes } = VALUES[name];
    if (isSet(value)) this.#room(bytes(value))[name] = value;
  }

  /** The part that has room for an entry of this size; a new part if the current one is full. */
  #room(bytes: number): StateChange {
    if (this.all.length === 0 || this.#bytes + bytes > this.#maxBytes) {
      this.#part = StateChange.create();
      this.all.push(this.#part);
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    return this.#part;
  }
}

function appendList<Name extends ListName>(name: Name, to: StateChange, from: StateChange): number {
  const list = (to as Lists)[name];
  const { count } = LISTS[name];
  let counted = 0;
  for (const entry of (from as Lists)[name]) {
    list.push(entry);
    counted += count?.(entry) ?? 1;
  }
  return counted;
}

function mergeValue<Name extends ValueName>(name: Name, to: StateChange, from: StateChange): void {
  to[name] = VALUES[name].merge(to[name], from[name]);
}

function* divided(set: RelaySet): Iterable<RelaySet> {
  const { linkGateway, link, lnkConns } = set;
  if (lnkConns.length <= MOST_NUMBERS) {
    yield set;
    return;
  }
  for (let at = 0; at < lnkConns.length; at += MOST_NUMBERS) {
    yield { linkGateway, link, lnkConns: lnkConns.slice(at, at + MOST_NUMBERS) };
  }
}
