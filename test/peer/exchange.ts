const PAYLOAD = 64;

/**
 * The messages of one transaction with a Responder: each but the first is sent once the one before is answered, and
 * each answer must have the payload of its message.
 */
export class Exchange {
  /** The beginning of all payloads. */
  readonly text: string;
  /** Number of messages still to be sent, and of answers still to come. */
  unsent: number;
  unanswered: number;

  /** `text`: different from that of all other transactions; at most 56 characters. */
  constructor(text: string, messages: number) {
    this.text = text;
    this.unsent = messages;
    this.unanswered = messages;
  }

  /** The payload of the next message, and whether that is the last one. */
  next(): { body: Buffer; isLast: boolean } {
    const body = Buffer.alloc(PAYLOAD);
    body.write(`${this.text} ${this.unsent}`);
    this.unsent--;
    return { body, isLast: this.unsent === 0 };
  }

  /** Takes an answer. `isLast`: it ends the transaction. Returns what is wrong with it. */
  take(body: Uint8Array, isLast: boolean): string[] {
    const found: string[] = [];
    const text = Buffer.from(body).toString('latin1').replace(/\0+$/, '');
    if (text !== `${this.text} ${this.unanswered--}`) found.push(`${this.text}: answered with ${text}`);
    if (isLast && (this.unsent > 0 || this.unanswered > 0)) found.push(`${this.text}: ended by its answer`);
    return found;
  }
}
