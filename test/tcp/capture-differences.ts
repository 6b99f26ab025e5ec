import type { Message } from '../peer/wire.ts';

/**
 * A known difference between our router and the reference in a recording, with its reason. Each must occur: a message
 * listed as missing must not come, and a changed one is compared with the changed fields.
 */
export interface Difference {
  capture: string;
  /** Text of the last `step` before the entry; null: the entry is before the first. */
  step: string | null;
  conn: string;
  /** Name of the recorded message, or `event`. */
  entry: string;
  /** Index of the message among the daemon's messages of that name on that connection within the step, from 0. */
  nth: number;
  /**
   * `missing`: our router does not send it. `closes`: our router ends the connection. `in another order`: it may come
   * in any order among those marked so. Otherwise: the fields that differ.
   */
  ours: 'missing' | 'closes' | 'in another order' | Partial<Pick<Message, 'error' | 'target' | 'auxDescr'>>;
  /** The place in protocol.md that says so. */
  reason: string;
}

/** Messages that our router sends in a step although the reference did not. They must come. */
export interface Extra {
  capture: string;
  step: string | null;
  conn: string;
  /** In order: command words in hexadecimal, each followed by the error if there is one. */
  words: string[];
  reason: string;
}

const ENDS_FIRST =
  'Transactions, stacking: the ends of what is stacked come first, leaves first, and the circuit’s own DELETE last; the reference sends it first';
const ENDS_STACKED =
  'Transactions, stacking: when a transaction ends, everything stacked on it ends too; the reference forgets it on an orderly close';
const ROUTED_BY_TARGET =
  'Routing, linkid: a message whose source is unknown is thrown away; the reference never routes, and answers by itself';
const LEAF = 'Routing, linkid: what a peer without a span sends goes to the node, from the span of the router';
const SHELL_INSIDE = 'Transactions: DBG_SHELL as a transaction is answered inside it, and ended with DELETE';

const OFFERED_AGAIN =
  'The link layer, 4: a refused relay is offered again only when the selection for that node and connection changes';
const ANSWER_TO_ANSWER =
  'Transactions: any one-way LNK_ERROR, any one-way with REPLY, LNK_PAD is never answered (the references answer each other for ever)';

function offeredAgain(capture: string): Difference {
  const step = 'B now holds 0 relays; A opens a second, unrelated span (which makes the daemon rescan)';
  return { capture, step, conn: 'B', entry: 'LNK_SPAN', nth: 0, ours: 'missing', reason: OFFERED_AGAIN };
}

function answerToAnswer(capture: string, step: string, entry: string): Difference {
  return { capture, step, conn: 'A', entry, nth: 0, ours: 'missing', reason: ANSWER_TO_ANSWER };
}

export const DIFFERENCES: Difference[] = [
  offeredAgain('v1-2-span'),
  offeredAgain('v2-2-span'),
  answerToAnswer('v1-3b-ping-pad-error', 'LNK_PING|REPLY', 'LNK_ERROR'),
  answerToAnswer('v1-3b-ping-pad-error', 'LNK_PAD', 'LNK_ERROR'),
  answerToAnswer('v1-3b-ping-pad-error', 'LNK_ERROR', 'LNK_ERROR'),
  answerToAnswer('v1-3b-ping-pad-error', 'LNK_ERROR|REPLY', 'LNK_ERROR'),
  answerToAnswer('v2-3b-ping-pad-error', 'LNK_PING|REPLY', 'SHELL'),
  answerToAnswer('v2-3b-ping-pad-error', 'LNK_PAD', 'LNK_ERROR'),
  answerToAnswer('v2-3b-ping-pad-error', 'LNK_ERROR', 'LNK_ERROR'),
  answerToAnswer('v2-3b-ping-pad-error', 'LNK_ERROR|REPLY', 'LNK_ERROR'),
  {
    capture: 'v2-2d-span-odd-header',
    step: null,
    conn: 'B',
    entry: 'LNK_SPAN',
    nth: 0,
    ours: { target: 0n, auxDescr: 0n, error: 0 },
    reason: 'The link layer, 2: only payload fields are passed on, with a clean header',
  },
  {
    capture: 'v2-1-conn',
    step: 'we half-close the TCP connection',
    conn: 'A',
    entry: 'event',
    nth: 0,
    ours: 'closes',
    reason: 'Transactions: TCP half-close counts as the end of the link',
  },
  {
    capture: 'v2-6c-owner-drops',
    step: 'A drops',
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 1,
    ours: 'in another order',
    reason: ENDS_FIRST,
  },
  {
    capture: 'v2-6c-owner-drops',
    step: 'A drops',
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 2,
    ours: 'in another order',
    reason: ENDS_FIRST,
  },
  {
    capture: 'v2-6c-owner-drops',
    step: 'A drops',
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 3,
    ours: 'in another order',
    reason: ENDS_FIRST,
  },
  {
    capture: 'v2-6d-requester-drops',
    step: 'B drops',
    conn: 'A',
    entry: 'LNK_ERROR',
    nth: 0,
    ours: 'in another order',
    reason: ENDS_FIRST,
  },
  {
    capture: 'v2-6d-requester-drops',
    step: 'B drops',
    conn: 'A',
    entry: 'LNK_ERROR',
    nth: 1,
    ours: 'in another order',
    reason: ENDS_FIRST,
  },
  {
    capture: 'v2-6e-span-closed',
    step: 'B uses the orphaned BLK_OPEN; A answers the orphaned BLK_READ',
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 0,
    ours: 'missing',
    reason: ENDS_STACKED,
  },
  {
    capture: 'v2-6f-relay-closed',
    step: "still open: A: CONN ours, SPAN ours, CONN daemon's, BLK_OPEN daemon's; B: CONN ours, BLK_OPEN ours, CONN daemon's; A drops",
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 0,
    ours: 'missing',
    reason: ENDS_STACKED,
  },
  {
    capture: 'v2-6h-shell-transactions',
    step: 'A: DBG_SHELL CREATE|DELETE on its own span',
    conn: 'A',
    entry: 'SHELL',
    nth: 0,
    ours: 'missing',
    reason: SHELL_INSIDE,
  },
  {
    capture: 'v2-6h-shell-transactions',
    step: 'A: DBG_SHELL CREATE|DELETE on its own span',
    conn: 'A',
    entry: 'SHELL',
    nth: 1,
    ours: 'missing',
    reason: SHELL_INSIDE,
  },
  {
    capture: 'v2-6h-shell-transactions',
    step: 'A: DBG_SHELL CREATE|DELETE on its own span',
    conn: 'A',
    entry: 'SHELL',
    nth: 2,
    ours: 'missing',
    reason: SHELL_INSIDE,
  },
  {
    capture: 'v2-6h-shell-transactions',
    step: 'A: DBG_SHELL CREATE|DELETE on its own span',
    conn: 'A',
    entry: 'SHELL',
    nth: 3,
    ours: 'missing',
    reason: SHELL_INSIDE,
  },
  {
    capture: 'v2-6h-shell-transactions',
    step: 'A: DBG_SHELL CREATE|DELETE on its own span',
    conn: 'A',
    entry: 'SHELL',
    nth: 4,
    ours: 'missing',
    reason: SHELL_INSIDE,
  },
  {
    capture: 'v1-6-target',
    step: 'DBG_SHELL with target = relay msgid',
    conn: 'B',
    entry: 'SHELL',
    nth: 0,
    ours: 'missing',
    reason: ROUTED_BY_TARGET,
  },
  {
    capture: 'v1-6-target',
    step: 'DBG_SHELL with target = relay msgid',
    conn: 'B',
    entry: 'SHELL',
    nth: 1,
    ours: 'missing',
    reason: ROUTED_BY_TARGET,
  },
  {
    capture: 'v1-6-target',
    step: 'DBG_SHELL with target = relay msgid',
    conn: 'B',
    entry: 'SHELL',
    nth: 2,
    ours: 'missing',
    reason: ROUTED_BY_TARGET,
  },
  {
    capture: 'v1-6-target',
    step: 'DBG_SHELL with target = relay msgid',
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 0,
    ours: 'missing',
    reason: ROUTED_BY_TARGET,
  },
  {
    capture: 'v1-6-target',
    step: 'a transaction (CREATE) with target = relay msgid',
    conn: 'B',
    entry: 'LNK_ERROR',
    nth: 0,
    ours: 'missing',
    reason: LEAF,
  },
];

export const EXTRAS: Extra[] = [
  {
    capture: 'v1-6-target',
    step: 'a transaction (CREATE) with target = relay msgid',
    conn: 'A',
    words: ['80001207', '80900101'],
    reason: LEAF,
  },
  { capture: 'v2-6e-span-closed', step: 'A closes the span', conn: 'A', words: ['540fff01 21'], reason: ENDS_STACKED },
  {
    capture: 'v2-6e-span-closed',
    step: 'A closes the span',
    conn: 'B',
    words: ['fc0fff01 21', '780fff01 21'],
    reason: ENDS_STACKED,
  },
  {
    capture: 'v2-6f-relay-closed',
    step: 'B closes the relay (REPLY|DELETE on the span)',
    conn: 'A',
    words: ['540fff01 21'],
    reason: ENDS_STACKED,
  },
  {
    capture: 'v2-6f-relay-closed',
    step: 'B closes the relay (REPLY|DELETE on the span)',
    conn: 'B',
    words: ['780fff01 21'],
    reason: ENDS_STACKED,
  },
  {
    capture: 'v2-6h-shell-transactions',
    step: 'A: DBG_SHELL CREATE|DELETE on its own span',
    conn: 'A',
    words: ['ac100101', '2c100101', '2c100101', '2c100101', '6c100101'],
    reason: SHELL_INSIDE,
  },
];
