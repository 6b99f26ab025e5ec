import { EventEmitter } from 'node:events';

/** The writing end of a stream, in memory. */
export class FakeWritable<Message> extends EventEmitter {
  readonly sent: Message[] = [];
  cancelled = false;
  /** What write answers. */
  accepts = true;
  ended = false;

  write(message: Message): boolean {
    this.sent.push(message);
    return this.accepts;
  }

  end(): void {
    this.ended = true;
  }

  drain(): void {
    this.accepts = true;
    this.emit('drain');
  }
}
