import { once } from 'node:events';
import { encodeVolconf, LNK_VOLCONF_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { LivePeer } from '../peer/live-peer.ts';
import { NIL_UUID, testUuid } from '../peer/payloads.ts';
import type { RawPeer } from '../peer/raw-peer.ts';
import { DialledHost, VolconfWorld } from '../peer/volconf-world.ts';
import { CREATE, isCmd, LNK_CONN, LNK_ERROR, LNK_VOLCONF, REPLY } from '../peer/wire.ts';
import { count, printTable } from './table.ts';

const MEDIA = 50;
const SLOTS = 256;
/** How long the steady state is measured, once every target is connected or waits, seconds. */
const WATCHED_SECONDS = 20;

/**
 * Volumes with all their slots in use, half of the targets dead: time until the living targets are connected, the cost
 * of keeping everything so, and the time to stop. Router, volumes and targets are all in this process, which needs some
 * 13,000 file descriptors.
 */
export async function benchVolconf(): Promise<void> {
  // The first pause is the longest at once: the steady state is measured.
  const world = await VolconfWorld.start({
    env: { SPANMESH_VOLCONF_RETRY_FIRST: '60s', SPANMESH_VOLCONF_RETRY_MAX: '60s' },
  });
  const host = await new DialledHost('127.0.0.2', 0, 'linkid', answering).listen();
  const dead = await new DialledHost('127.0.0.3', 0, 'linkid').listen();
  await dead.refuse();
  const living = (MEDIA * SLOTS) / 2;

  const others = world.gateway.counts().established + MEDIA;
  const began = performance.now();
  for (let media = 1; media <= MEDIA; media++) await mount(world, media, [host, dead]);
  await until(world, () => world.gateway.counts().established >= others + living);
  const upSeconds = (performance.now() - began) / 1000;

  // By now the attempts for dead targets are spread evenly over the longest pause.
  await until(world, () => world.volconf.totals().attemptsMade >= MEDIA * SLOTS + living / 10);

  const attempts = world.volconf.totals().attemptsMade;
  const cpu = process.cpuUsage();
  const from = performance.now();
  await new Promise((resolve) => setTimeout(resolve, WATCHED_SECONDS * 1000));
  const seconds = (performance.now() - from) / 1000;
  const used = process.cpuUsage(cpu);
  const retries = (world.volconf.totals().attemptsMade - attempts) / seconds;
  const { running, waiting } = stats(world);

  const stopping = performance.now();
  await world.volconf.stop();
  const volconfMs = performance.now() - stopping;
  host.stop();
  await world.stop();
  printTable(`Volconf: ${MEDIA} media × ${SLOTS} slots, half of the targets dead`, [
    ['targets', 'running', 'waiting', 'all up s', 'retries/s', 'CPU', 'volconf stops in ms', 'all stops in ms'],
    [
      count(MEDIA * SLOTS),
      count(running),
      count(waiting),
      upSeconds.toFixed(1),
      retries.toFixed(0),
      `${((used.user + used.system) / seconds / 1e4).toFixed(1)} %`,
      volconfMs.toFixed(0),
      count(performance.now() - stopping),
    ],
  ]);
}

async function mount(world: VolconfWorld, media: number, hosts: readonly DialledHost[]): Promise<void> {
  const peer = await LivePeer.connect({ port: world.port('linkid'), dialect: 'linkid', localAddress: '127.0.0.10' });
  const msgid = await peer.openConn({ media: testUuid(media) });
  const zero = { inprog: 0, chainTo: 0, chainFrom: 0, flags: 0, error: 0, priority: 0, remotePfsType: 0 };
  const messages = Array.from({ length: SLOTS }, (_, index) => {
    const { host, port } = hosts[index % hosts.length]!;
    const copy = { ...zero, copyId: 1, pfsClid: NIL_UUID, label: '', path: `span:${host}:${port}` };
    const body = Buffer.alloc(LNK_VOLCONF_BYTES);
    encodeVolconf({ index, mediaId: NIL_UUID, copy }, body, 0);
    return { cmd: LNK_VOLCONF, msgid, body };
  });
  peer.raw.sendAll(messages);
}

/** Answers the router's LNK_CONN, and nothing else. */
function answering(peer: RawPeer): void {
  peer.intercept = (message) => {
    if (isCmd(message, CREATE | LNK_CONN.linkid)) {
      peer.send({ cmd: CREATE | REPLY | LNK_ERROR, msgid: message.msgid });
    }
    return true;
  };
}

function stats(world: VolconfWorld): { running: number; waiting: number } {
  const counts = { running: 0, waiting: 0 };
  for (const { state } of world.volconf.term?.reconciler.targets() ?? []) {
    if (state.kind === 'running' || state.kind === 'waiting') counts[state.kind]++;
  }
  return counts;
}

async function until(world: VolconfWorld, holds: () => boolean): Promise<void> {
  while (!holds()) await once(world.events, 'change');
}
