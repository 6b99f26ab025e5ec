import type { Message } from '../peer/wire.ts';

/**
 * Where this router answers otherwise than the reference did in a recording, and why. Each must occur: a message listed as
 * missing that comes all the same is one too many, a changed one is compared with the changed fields.
 */
export interface Difference {
  capture: string;
  /** Text of the last `step` before the entry; null: before the first. */
  step: string | null;
  conn: string;
  /** Name of the recorded message, or `event`. */
  entry: string;
  /** Which of the daemon's messages of that name on that connection within the step; 0 is the first. */
  nth: number;
  /** `missing`: not sent by us. `closes`: the connection is ended by us. Otherwise the fields that differ. */
  ours: 'missing' | 'closes' | Partial<Pick<Message, 'error' | 'target' | 'auxDescr'>>;
  /** Where protocol.md says so. */
  reason: string;
}

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
];
