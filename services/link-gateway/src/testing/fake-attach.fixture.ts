import { append } from '@spanmesh/proto/state-change';
import { Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { WorkList } from '@spanmesh/runtime/work-list';
import type { Attach, AttachRefusal } from '../attach/attach.ts';
import type { AttachHost } from '../attach/attach-host.ts';
import type { Reports } from '../attach/reports.ts';

/** A topology that only does what a test tells it. It hears every report, and each at once. */
export class FakeAttach implements Attach {
  /** Everything reported since the start, or since a test put a new one here. */
  delta: StateChange = StateChange.create();
  attached = false;
  attachedOnce = false;
  refused: AttachRefusal | null = null;
  /** What happened to the stream itself, in order. */
  readonly calls: string[] = [];
  readonly host: AttachHost;
  readonly reports: Reports;
  /** Commands that are being obeyed: short ones at once. */
  readonly work = new WorkList();
  #n = 0;
  #wake: (() => void)[] = [];

  constructor(host: AttachHost, reports: Reports) {
    this.host = host;
    this.reports = reports;
    reports.begin();
    reports.cut();
    reports.onChange = () => this.#hear();
  }

  start(): void {
    this.calls.push('start');
  }

  async stop(): Promise<void> {
    this.calls.push('stop');
  }

  /** Welcomes the gateway and takes its snapshot. */
  attach(rnssAdd = 0, epoch = 1): StateChange[] {
    this.attached = true;
    this.attachedOnce = true;
    this.host.welcomed(epoch, rnssAdd);
    const parts = runNow(this.host.snapshot());
    this.reports.begin();
    this.reports.cut();
    return parts;
  }

  /** The stream is lost. */
  lose(): void {
    this.attached = false;
    this.reports.end();
  }

  command(commands: Partial<Omit<Commands, 'epoch' | 'n'>>): void {
    this.#n++;
    this.work.run(this.host.applying({ ...Commands.create(), epoch: 1, n: this.#n, ...commands }));
  }

  /** Waits until what was reported satisfies `test`. */
  async until(test: (delta: StateChange) => boolean): Promise<StateChange> {
    while (!test(this.delta)) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.delta;
  }

  #hear(): void {
    for (const part of this.reports.take(Number.POSITIVE_INFINITY)) append(this.delta, part);
    // All reports stand in one delta here, and there an order stands once.
    this.delta.drains = [...new Map(this.delta.drains.map((drain) => [drain.order, drain])).values()];
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }
}
