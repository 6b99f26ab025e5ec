import { CIRCUIT, type DialectRules, LINKID } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { Actor } from './endpoint-actor.ts';
import type { Random } from './random.ts';
import { expectThat, type Target } from './target.ts';

// Control bytes: the dialect (bit 0); the greatest depth of either side.
const CONTROL_BYTES = 3;
/** The bytes of a step: side and how much it receives, the act, its transaction, reactions. */
const STEP_BYTES = 4;
const MAX_STEPS = 120;
/** More transactions than a run can open: this limit is tested by the endpoint target. */
const MAX_TRANSACTIONS = 1000;
/** Acts that are left out: neither side closes without a message, or loses the link before the end. */
const LEFT_OUT: readonly number[] = [16, 17];

/** One of the two sides, with the bytes that it has not received yet. */
class Side {
  readonly actor: Actor;
  readonly reader: FrameReader;
  /** Bytes on their way to this side. */
  pending = Buffer.alloc(0);
  heard = 0;

  constructor(rules: DialectRules, maxDepth: number) {
    this.actor = new Actor(rules, maxDepth, MAX_TRANSACTIONS);
    this.actor.withoutActs = LEFT_OUT;
    this.reader = new FrameReader({ rules });
  }

  /** Receives a part of the bytes on their way, cut at any place. */
  hear(bytes: number): void {
    const part = Buffer.from(this.pending.subarray(0, bytes));
    this.pending = this.pending.subarray(part.length);
    this.reader.push(part, {
      onFrame: (frame) => {
        this.heard++;
        this.actor.receive(frame);
      },
    });
  }
}

/**
 * Two endpoints whose users do anything at any time, with messages crossing on the way. Oracles: neither endpoint
 * refuses a message of the other; every notification comes once; when everything has been delivered and ended, no
 * transaction is left.
 */
export class PairTarget implements Target {
  readonly name = 'pair';
  readonly maxBytes = CONTROL_BYTES + MAX_STEPS * STEP_BYTES;
  readonly controlBytes = CONTROL_BYTES;
  readonly counts: Record<string, number> = { 'messages received': 0 };

  generate(random: Random, buf: Uint8Array): number {
    const end = CONTROL_BYTES + STEP_BYTES * random.few(MAX_STEPS, 252);
    random.fill(buf, 0, end);
    return end;
  }

  run(input: Uint8Array): void {
    if (input.length < CONTROL_BYTES) return;
    const rules = (input[0]! & 1) === 0 ? LINKID : CIRCUIT;
    const sides = [new Side(rules, input[1]! & 7), new Side(rules, input[2]! & 7)] as const;
    for (let at = CONTROL_BYTES; at + STEP_BYTES <= input.length; at += STEP_BYTES) {
      const how = input[at]!;
      const [one, other] = (how & 1) === 0 ? sides : [sides[1], sides[0]];
      one.actor.seed((input[at + 2]! << 8) | input[at + 3]!);
      if ((how & 6) === 0) one.hear(how >> 3 === 31 ? one.pending.length : (how >> 3) * 40);
      else one.actor.act(input[at + 1]!, one.actor.some(input[at + 2]!), null);
      carry(one, other);
    }
    for (const { actor } of sides) actor.quiet();
    deliverAll(sides);
    for (const { actor } of sides) for (const tx of actor.live()) actor.endpoint.end(tx);
    deliverAll(sides);
    for (const { actor, heard } of sides) {
      expectThat(actor.endpoint.openCount === 0, () => `${actor.endpoint.openCount} transactions are left`);
      actor.checkEmpty();
      actor.endpoint.lost(ErrorCode.EOF);
      this.counts['messages received']! += heard;
    }
  }
}

/** Puts the bytes that one side has sent on their way to the other. */
function carry(from: Side, to: Side): void {
  const { tape } = from.actor;
  if (tape.end === 0) return;
  to.pending = Buffer.concat([to.pending, tape.buf.subarray(0, tape.end)]);
  tape.end = 0;
}

/** Delivers all bytes, until neither side sends more. */
function deliverAll(sides: readonly [Side, Side]): void {
  const [a, b] = sides;
  for (;;) {
    carry(a, b);
    carry(b, a);
    if (a.pending.length + b.pending.length === 0) return;
    a.hear(a.pending.length);
    b.hear(b.pending.length);
  }
}
