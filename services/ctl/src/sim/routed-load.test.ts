import { startStandalone } from '@spanmesh/standalone/standalone';
import { expect, it } from 'vitest';
import { Sim, type SimTotals } from './sim.ts';

/** Settings of a standalone on ports of its own. */
const SETTINGS = {
  SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_LOG_LEVEL: 'silent',
};

async function runUntil(churnMs: number, isEnough: (totals: SimTotals) => boolean): Promise<SimTotals> {
  const standalone = await startStandalone(SETTINGS);
  const { address: host, port } = standalone.dmsg[0]!;
  const enough = Promise.withResolvers<void>();
  const sim: Sim = new Sim(
    { peers: 8, dialect: 'both', spans: 2, clusters: 2, seed: 5, churnMs, load: 200, connect: { host, port } },
    { onNote() {}, onSummary: () => isEnough(sim.totals) && enough.resolve() },
  );
  sim.start();
  try {
    await enough.promise;
  } finally {
    await sim.stop();
    await standalone.stop();
  }
  return sim.totals;
}

it('goes through a router, and reads return what was written', async () => {
  const { load } = await runUntil(0, (totals) => totals.load!.ok >= 1000);
  expect(load!.errors).toBe(0);
});

it('is lost, but never wrong, when spans come and go', async () => {
  const { load } = await runUntil(100, (totals) => totals.load!.ok >= 500 && totals.load!.lost > 0);
  expect(load!.errors).toBe(0);
});
