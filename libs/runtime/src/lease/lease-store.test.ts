import { beforeEach, expect, it } from 'vitest';
import { type Fate, FaultyKv } from '../bus/in-process/faulty-kv.ts';
import { InProcessKeyValue } from '../bus/in-process/in-process-kv.ts';
import { FakeClock } from '../fake-clock.ts';
import { settle } from '../fake-time.fixture.ts';
import { encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';
import { LeaseStore, type Stored } from './lease-store.ts';

const RECORD: LeaseRecord = { holder: 'h', address: 'a:1', epoch: 1, ttl: 1000, settings: '', beat: 0 };
const JUNK = new TextEncoder().encode('{}');

let kv: InProcessKeyValue;
let clock: FakeClock;
let fate: Fate;
let store: LeaseStore;
beforeEach(() => {
  kv = new InProcessKeyValue({ onError: (error) => expect.unreachable(String(error)) });
  clock = new FakeClock();
  fate = { kind: 'ok' };
  const faulty = new FaultyKv(kv, { clock, next: () => fate });
  store = new LeaseStore({ role: 'role', answerMs: 250 }, { kv: faulty, clock });
});

it('a role has no record, a record, or something that is none', async () => {
  expect(await store.read()).toEqual({ revision: 0, record: null, isJunk: false });
  await kv.put('role', encodeLeaseRecord(RECORD));
  expect(await store.read()).toEqual({ revision: 1, record: RECORD, isJunk: false });
  await kv.put('role', JUNK);
  expect(await store.read()).toEqual({ revision: 2, record: null, isJunk: true });
  expect(clock.pending).toBe(0);
});

it('a record is written over the revision that was seen, or where there is none', async () => {
  expect(await store.write(RECORD, null)).toBe(1);
  expect(await store.write(RECORD, null)).toBeNull();
  expect(await store.write(RECORD, 2)).toBeNull();
  expect(await store.write({ ...RECORD, beat: 1 }, 1)).toBe(2);
  expect((await store.read())?.record?.beat).toBe(1);
  expect(clock.pending).toBe(0);
});

it('an answer that takes too long, or an error, is none', async () => {
  fate = { kind: 'fail' };
  expect([await store.read(), await store.write(RECORD, null), clock.pending]).toEqual([null, null, 0]);
  fate = { kind: 'mute' };
  const answers: (Stored | null)[] = [];
  const read = store.read().then((stored) => answers.push(stored));
  clock.advance(249);
  await settle();
  expect(answers).toEqual([]);
  clock.advance(1);
  await read;
  expect([answers, clock.pending]).toEqual([[null], 0]);
});

it('changes are told of this role only, until the watch ends; a store that is away gives no watch', async () => {
  const seen: Stored[] = [];
  const watch = await store.watch((stored) => seen.push(stored));
  await kv.put('other', JUNK);
  await kv.put('role', encodeLeaseRecord(RECORD));
  await kv.put('role', JUNK);
  await kv.delete('role');
  await settle();
  expect(seen).toEqual([
    { revision: 2, record: RECORD, isJunk: false },
    { revision: 3, record: null, isJunk: true },
    { revision: 4, record: null, isJunk: false },
  ]);
  watch?.unsubscribe();
  await kv.put('role', JUNK);
  await settle();
  expect(seen).toHaveLength(3);
  kv.close();
  expect(await store.watch(() => {})).toBeNull();
});
