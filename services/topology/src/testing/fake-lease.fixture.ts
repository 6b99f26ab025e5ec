import type { LeaseView } from '../attach/leadership.ts';

/** A lease that is held, and lost, as the test says. */
export class FakeLease implements LeaseView {
  readonly id: string = 'me';
  epoch = 1;
  valid = true;
  ageMs = 0;
  frozenSince: number | null = null;
  raises: number[] = [];
  /** For how long it was stepped down from, each time. */
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
