import { EventEmitter } from 'node:events';
import { Metadata } from '@grpc/grpc-js';
import { changes, samples } from '@spanmesh/runtime/metrics.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { copyOf, MEDIA, World } from './testing/world.fixture.ts';

let world: World;
afterEach(async () => {
  await world.stop();
});

const changed = (cause: () => unknown) => changes(world.metricsOf(world.leader), cause);

describe('volconf shows', () => {
  // Causes: metric spanmesh_volconf_leading, spanmesh_volconf_epoch, spanmesh_volconf_gateways
  it('that it leads, under which epoch, and of which gateways it knows', async () => {
    world = await World.start({ gateways: 2, replicas: 2 });
    const { leader } = world;
    const [standby = leader] = [...world.replicas].filter((one) => one !== leader);
    const before = await samples(world.metricsOf(leader));
    expect(before).toMatchObject({ volconf_leading: 1, volconf_gateways: 2 });
    expect(await samples(world.metricsOf(standby))).toMatchObject({ volconf_leading: 0, volconf_gateways: 0 });
    await world.stopReplica(leader);
    await world.advance(5000);
    const after = await samples(world.metricsOf(standby));
    expect(after).toMatchObject({ volconf_leading: 1, volconf_gateways: 2 });
    expect(after.volconf_epoch).toBeGreaterThan(before.volconf_epoch ?? 0);
  });

  // Causes: metric spanmesh_volconf_media, spanmesh_volconf_slots, spanmesh_volconf_targets, spanmesh_volconf_attempts_total
  // Causes: metric spanmesh_volconf_connections_lost_total, spanmesh_volconf_hangups_total, spanmesh_volconf_slots_ignored_total
  // Causes: metric spanmesh_volconf_open
  // Causes: line LNK_VOLCONF ignored
  it('what media ask for, what is connected, lost, and hung up', async () => {
    world = await World.start();
    const { gateway } = world;
    const conn = gateway.openConn(MEDIA);
    const asked = await changed(async () => {
      world.volconf(gateway, conn, 3, copyOf('span:host', { copyId: 3 }));
      await world.advance(100);
    });
    expect(asked).toMatchObject({
      volconf_media: 1,
      volconf_slots: 1,
      'volconf_targets{state="running"}': 1,
      volconf_attempts_total: 1,
      'volconf_open{table="slotsOfTargets"}': 1,
    });
    const lost = await changed(async () => {
      gateway.drop(`media ${MEDIA}/slot 3`);
      await world.advance(0);
    });
    expect(lost).toMatchObject({ volconf_connections_lost_total: 1 });
    await world.advance(60_000);
    const stopped = await changed(async () => {
      world.volconf(gateway, conn, 3, copyOf('span:host', { copyId: 0 }));
      await world.advance(100);
    });
    expect(stopped).toMatchObject({
      volconf_hangups_total: 1,
      'volconf_targets{state="running"}': -1,
      'volconf_targets{state="stopped"}': 1,
    });
    const ignored = await changed(async () => {
      world.volconf(gateway, conn, 256, copyOf('span:host'));
      await world.advance(100);
    });
    expect(ignored).toEqual({ volconf_slots_ignored_total: 1 });
    expect(world.log.filter(({ msg }) => msg === 'LNK_VOLCONF ignored')).toMatchObject([{ level: 'warn' }]);
  });

  // Causes: metric spanmesh_volconf_dialling, spanmesh_volconf_attempts_failed_total, spanmesh_volconf_waiting
  it('an attempt while it lasts, that it has failed, and that the next one is waited for', async () => {
    world = await World.start();
    world.hosts.set('host', 'refuses');
    world.gateway.dialMs = 1000;
    const dialled = await changed(async () => {
      await world.targets.put('a', 'span:host');
      await world.advance(500);
    });
    expect(dialled).toMatchObject({ volconf_dialling: 1, 'volconf_targets{state="connect"}': 1 });
    const failed = await changed(() => world.advance(600));
    expect(failed).toMatchObject({ volconf_dialling: -1, volconf_attempts_failed_total: 1, volconf_waiting: 1 });
  });

  // Causes: metric spanmesh_volconf_adopted_total
  it('connections that it has taken over from a leader before', async () => {
    world = await World.start({ replicas: 2 });
    const { leader } = world;
    await world.targets.put('a', 'span:host');
    await world.advance(500);
    await world.stopReplica(leader);
    await world.advance(5000);
    expect(await samples(world.metricsOf(world.leader))).toMatchObject({
      volconf_adopted_total: 1,
      volconf_attempts_total: 0,
      'volconf_targets{state="running"}': 1,
    });
  });

  // Causes: metric spanmesh_volconf_watches
  it('who watches', async () => {
    world = await World.start();
    const call = Object.assign(new EventEmitter(), {
      request: {},
      metadata: new Metadata(),
      getPeer: () => '127.0.0.1:1',
      write: () => true,
      end: () => {},
    });
    const { watchTargets } = world.leader.api.implementation;
    expect(await changed(() => watchTargets(call as never))).toMatchObject({ volconf_watches: 1 });
    expect(await changed(() => call.emit('cancelled'))).toMatchObject({ volconf_watches: -1 });
  });
});
