import type { LeaseView } from '../attach/leadership.ts';

/** A lease that the test gives and takes. */
export class FakeLease implements LeaseView {
  readonly id: string = 'me';
  epoch = 1;
  valid = true;
  ageMs = 0;
  frozenSince: number | null = null;
  raises: number[] = [];
  /** The durations given to `stepDown`. */
  readonly stepsDown: number[] = [];
  onRaise: () => void = () => {};

  isValid(): boolean {
    return this.valid;
  }

  get holderId(): string {
    return this.valid ? 'me' : 'other';
  }

  holder() {
    return this.valid ? { address: 'me:1', epoch: this.epoch } : { address: 'other:1', epoch: this.epoch };
  }

  stepDown(ms: number): void {
    this.stepsDown.push(ms);
  }

  raiseEpoch(atLeast: number): Promise<void> {
    this.raises.push(atLeast);
    this.epoch = Math.max(this.epoch, atLeast);
    this.onRaise();
    return Promise.resolve();
  }
}
