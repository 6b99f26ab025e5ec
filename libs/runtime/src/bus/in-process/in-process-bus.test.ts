import { describe, expect, it } from 'vitest';
import { busContract } from '../bus-contract.ts';
import { InProcessBus } from './in-process-bus.ts';

busContract('InProcessBus', async (thrown) => new InProcessBus({ onError: thrown }));

describe('InProcessBus', () => {
  it('hands the bytes on without a copy', async () => {
    const bus = new InProcessBus({ onError: () => {} });
    const data = new Uint8Array([1]);
    const got = new Promise<Uint8Array>((resolve) => {
      bus.subscribe('a', (_, bytes) => resolve(bytes));
    });
    bus.publish('a', data);
    expect(await got).toBe(data);
  });
});
