import { type Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Attach } from './attach.ts';
import type { AttachHost } from './gateway-service.ts';

/** A topology that only does what a test tells it. */
export class FakeAttach implements Attach {
  /** Everything reported since the start, or since a test put a new one here. */
  delta: StateChange = StateChange.create();
  attachedOnce = false;
  /** What happened to the stream itself, in order. */
  readonly calls: string[] = [];
  readonly host: AttachHost;
  #n = 0;
  #wake: (() => void)[] = [];

  constructor(host: AttachHost) {
    this.host = host;
  }

  touch(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }

  start(): void {
    this.calls.push('start');
  }

  async stop(): Promise<void> {
    this.calls.push('stop');
  }

  /** Welcomes the gateway and takes its snapshot. */
  attach(rnssAdd = 0): StateChange[] {
    this.attachedOnce = true;
    this.host.welcomed(1, rnssAdd);
    return [...this.host.snapshot()];
  }

  command(commands: Partial<Omit<Commands, 'epoch' | 'n'>>): void {
    this.#n++;
    this.host.apply({
      epoch: 1,
      n: this.#n,
      links: [],
      linksGone: [],
      relays: [],
      probe: [],
      close: [],
      gateways: [],
      gatewaysChanged: false,
      drains: [],
      ...commands,
    });
  }

  /** Waits until what was reported satisfies `test`. */
  async until(test: (delta: StateChange) => boolean): Promise<StateChange> {
    while (!test(this.delta)) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.delta;
  }
}
