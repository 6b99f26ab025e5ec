import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureNames, loadCapture } from '../peer/capture.ts';
import { type Ours, Replay } from '../peer/replay.ts';
import type { Dialect } from '../peer/wire.ts';
import { World } from '../peer/world.ts';
import { DIFFERENCES, EXTRAS } from './capture-differences.ts';

/**
 * The recorded sessions, played to listeners with a fixed dialect. Left out are 4 (VOLCONF makes the router dial:
 * volconf.test.ts) and 7 (encrypted: encrypted-captures.test.ts).
 */
const names = captureNames().filter((name) => !/^v\d-[47]/.test(name));

describe.each(['linkid', 'circuit'] as Dialect[])('recorded sessions, %s', (dialect) => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
  });
  afterAll(() => world?.stop());

  it.each(names.filter((name) => name.startsWith(dialect === 'linkid' ? 'v1' : 'v2')))('%s', async (name) => {
    const listed = DIFFERENCES.filter(({ capture }) => capture === name);
    const used = new Set<(typeof listed)[number]>();
    const oursFor = (step: string | null, conn: string, entry: string, nth: number): Ours => {
      const difference = listed.find(
        (one) => one.step === step && one.conn === conn && one.entry === entry && one.nth === nth,
      );
      if (difference === undefined) return 'as recorded';
      used.add(difference);
      return difference.ours;
    };
    const replay = new Replay(loadCapture(name), {
      // Each connection from an address of its own: the recorded clients have equal identities, and from one address
      // they would be taken for one peer that has come back (architecture.md, "Half-dead peers").
      connect: (conn) => world.raw(dialect, { name: conn, localAddress: `127.0.0.${10 + conn.charCodeAt(0) - 65}` }),
      settled: (peers) => world.settled(...peers),
      oursFor,
      extrasFor: (step, conn) =>
        EXTRAS.find((one) => one.capture === name && one.step === step && one.conn === conn)?.words ?? [],
    });
    try {
      await replay.run();
      expect(listed.filter((difference) => !used.has(difference))).toEqual([]);
    } finally {
      await world.clear();
    }
  });
});
