import { append } from '@spanmesh/proto/state-change';
import { Commands, StateChange } from '@spanmesh/proto/v1/gateway_control';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { WorkList } from '@spanmesh/runtime/work-list';
import type { Attach, AttachRefusal } from '../attach/attach.ts';
import type { AttachHost } from '../attach/attach-host.ts';
import type { Reports } from '../attach/reports.ts';

/** A topology that does only what the test tells it. It takes each report at once. */
export class FakeAttach implements Attach {
  /** All reports since the start, or since the test put a new StateChange here. */
  delta: StateChange = StateChange.create();
  attached = false;
  attachedOnce = false;
  refused: AttachRefusal | null = null;
  /** Calls of `start` and `stop`, in order. */
  readonly calls: string[] = [];
  readonly host: AttachHost;
  readonly reports: Reports;
  /** Commands that are being carried out; short ones are done at once. */
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

  /** Welcomes the gateway, and returns its snapshot. */
  attach(rnssAdd = 0, epoch = 1): StateChange[] {
    this.attached = true;
    this.attachedOnce = true;
    this.host.welcomed(epoch, rnssAdd);
    const parts = runNow(this.host.snapshot());
    this.reports.begin();
    this.reports.cut();
    return parts;
  }

  /** Loses the stream. */
  lose(): void {
    this.attached = false;
    this.reports.end();
  }

  command(commands: Partial<Omit<Commands, 'epoch' | 'n'>>): void {
    this.#n++;
    this.work.run(this.host.applying({ ...Commands.create(), epoch: 1, n: this.#n, ...commands }));
  }

  /** Waits until the reports so far satisfy `test`. */
  async until(test: (delta: StateChange) => boolean): Promise<StateChange> {
    while (!test(this.delta)) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.delta;
  }

  #hear(): void {
    for (const part of this.reports.take(Number.POSITIVE_INFINITY)) append(this.delta, part);
    // All reports are merged into one delta here, in which each drain order may occur only once: its last report.
    this.delta.drains = [...new Map(this.delta.drains.map((drain) => [drain.order, drain])).values()];
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }
}
