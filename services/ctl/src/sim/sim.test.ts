import { afterEach, expect, it } from 'vitest';
import { FakeRouter } from './router.fixture.ts';
import { Sim, summaryLine } from './sim.ts';

const routers: FakeRouter[] = [];

afterEach(async () => {
  for (const router of routers.splice(0)) await router.stop();
});

async function startRouter(): Promise<FakeRouter> {
  const router = new FakeRouter({ dialect: 'circuit' });
  await router.start();
  routers.push(router);
  return router;
}

const OPTIONS = { peers: 4, dialect: 'circuit', spans: 2, clusters: 3, seed: 1, churnMs: 0, load: 0 } as const;

it('brings all peers up and counts', async () => {
  const router = await startRouter();
  const notes: string[] = [];
  const sim = new Sim({ ...OPTIONS, connect: router.connect }, { onSummary() {}, onNote: (line) => notes.push(line) });
  sim.start();
  for (let n = 1; n <= 4; n++) await (await router.side(n)).nth('LNK_SPAN', 2);
  expect(sim.totals).toEqual({ up: 4, spans: 8, relays: 0, spansOpened: 8, relaysSeen: 0, load: null });
  expect(await sim.stop()).toMatchObject({ up: 4 });
  expect(sim.totals).toMatchObject({ up: 0, spans: 0 });
  expect(notes).toEqual([]);
});

it('counts transactions only if the peers run some', () => {
  const deps = { onSummary() {}, onNote() {} };
  const connect = { host: '127.0.0.1', port: 1 };
  expect(new Sim({ ...OPTIONS, connect, load: 5 }, deps).totals.load).toEqual({ ok: 0, lost: 0, errors: 0 });
  expect(new Sim({ ...OPTIONS, connect }, deps).totals.load).toBe(null);
});

it('reports once that the router is gone, and once that it is back', async () => {
  const router = await startRouter();
  const notes: string[] = [];
  const back = Promise.withResolvers<void>();
  const onNote = (line: string): void => {
    notes.push(line);
    if (notes.length === 2) back.resolve();
  };
  const sim = new Sim({ ...OPTIONS, connect: router.connect }, { onSummary() {}, onNote });
  sim.start();
  for (let n = 1; n <= 4; n++) await (await router.side(n)).nth('LNK_SPAN', 2);
  await router.stop();
  await router.start();
  await back.promise;
  await sim.stop();
  expect(notes[0]).toMatch(/^no connection to 127\.0\.0\.1:\d+ \(.+\); peers try again until there is one$/);
  expect(notes[1]).toBe('all peers are connected again');
});

it('sums up in one line', () => {
  const totals = { up: 1, spans: 1, relays: 57, spansOpened: 1, relaysSeen: 60 };
  const line = '1 of 20 peers up, 1 span offered, 57 relays open, 60 seen';
  expect(summaryLine({ ...totals, load: null }, 20)).toBe(line);
  expect(summaryLine({ ...totals, load: { ok: 1, lost: 0, errors: 2 } }, 20)).toBe(
    `${line}; 1 transaction ok, 0 lost, 2 errors`,
  );
});
