import { afterEach, describe, expect, it } from 'vitest';
import { copyOf, MEDIA, World } from './world.fixture.ts';

let world: World;
afterEach(async () => {
  expect(world.doubles).toEqual([]);
  await world.stop();
});

const OWNER_3 = `media ${MEDIA}/slot 3`;

describe('a slot', () => {
  it('is connected, in the dialect of its LNK_CONN, to the port of the setting', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA, 2);
    world.volconf(world.gateway, conn, 3, copyOf('span:host', { copyId: 3 }));
    await world.advance(100);
    expect(world.connections()).toEqual([`${OWNER_3} host:987`]);
    expect(world.gateway.owners.get(OWNER_3)!.up).toMatchObject({ dialect: 2, generation: 1 });
    expect(world.leader.term!.media.slot(MEDIA, 3)!.target!.state.kind).toBe('running');
  });

  it('stays as it is when the same 128 bytes come again', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    for (let i = 0; i < 3; i++) {
      world.volconf(world.gateway, conn, 3, copyOf('span:host:1000'));
      await world.advance(100);
    }
    expect(world.gateway.log).toEqual([`dial ${OWNER_3} 1.1 host:1000`]);
  });

  it('is started anew when they have changed, the old one stopped first', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:a'));
    await world.advance(100);
    world.volconf(world.gateway, conn, 3, copyOf('span:b'));
    await world.advance(100);
    expect(world.gateway.log).toEqual([
      `dial ${OWNER_3} 1.1 a:987`,
      `hangup ${OWNER_3} 1.1`,
      `dial ${OWNER_3} 1.2 b:987`,
    ]);
    expect(world.connections()).toEqual([`${OWNER_3} b:987`]);
  });

  it.each([
    ['copyid 0', copyOf('span:host', { copyId: 0 })],
    ['no span:', copyOf('file:host')],
    ['no host', copyOf('span:')],
    ['no port', copyOf('span:host:0')],
  ])('is stopped by %s', async (_, copy) => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:a'));
    await world.advance(100);
    world.volconf(world.gateway, conn, 3, copy);
    await world.advance(100);
    expect(world.connections()).toEqual([]);
    expect(world.leader.term!.media.slot(MEDIA, 3)!.target!.state.kind).toBe('stopped');
  });
});
