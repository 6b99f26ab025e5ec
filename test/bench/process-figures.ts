import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../../deploy/package/bundle.ts';
import { freePorts, ServiceProcess } from '../peer/installation.ts';
import { START_OPTIONS } from '../peer/start-options.ts';
import { COLLECTABLE, collectGarbage } from './collect-garbage.ts';
import type { Figure } from './figure.ts';
import { freePort } from './free-port.ts';
import { CREATE, GeneratorPeer, REPLY, SPAN, spanBody } from './generator-peer.ts';
import { residentKb } from './machine.ts';

const LAUNCHER = join(import.meta.dirname, '../../services/ctl/bin/spanmesh.js');
/** Milliseconds between two checks whether a process is ready. */
const LOOK_MS = 5;
/** Milliseconds that a process is left alone before it counts as idle. */
const IDLE_MS = 2000;
const CONNECTIONS = 5000;
const [SPANS, RECEIVERS] = [2000, 100];

/** Figures of a single process: time until it is ready, and memory when idle, for a connection and for a relay. */
export async function processFigures(): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'spanmesh-bench-bundle-'));
  try {
    await bundle(directory);
    const clone = await startOf(LAUNCHER);
    const bundled = await startOf(join(directory, 'lib/spanmesh.mjs'));
    const { connectionKb, relayKb } = await memoryOf();
    const less = { isLessBetter: true } as const;
    return [
      { row: 'start to ready, a clone', value: clone.readyMs, unit: 'ms', ...less },
      { row: 'start to ready, the package', value: bundled.readyMs, unit: 'ms', ...less },
      { row: 'idle, a clone', value: clone.idleMb, unit: 'MB', ...less },
      { row: 'idle, the package', value: bundled.idleMb, unit: 'MB', ...less },
      { row: 'an idle connection', value: connectionKb, unit: 'KB', ...less },
      { row: 'a relay', value: relayKb, unit: 'KB', ...less },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A standalone without stored state: milliseconds until it is ready, and megabytes when idle. */
async function startOf(program: string): Promise<{ readyMs: number; idleMb: number }> {
  const ports = await freePorts();
  const env = {
    ...process.env,
    SPANMESH_GRPC_LISTEN: `127.0.0.1:${ports.grpc}`,
    SPANMESH_SERVICE_LISTEN: `127.0.0.1:${ports.service}`,
    SPANMESH_HTTP_LISTEN: `127.0.0.1:${ports.http}`,
    SPANMESH_CONSOLE_LISTEN: `127.0.0.1:${await freePort()}`,
    SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${await freePort()}`,
    SPANMESH_DATA_DIR: '',
    SPANMESH_LOG_LEVEL: 'error',
  };
  const began = performance.now();
  const child = spawn(process.execPath, [...START_OPTIONS, program, 'run', 'standalone'], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${program} ended with code ${child.exitCode}`);
      const answer = await fetch(`http://127.0.0.1:${ports.http}/readyz`).catch(() => null);
      if (answer?.ok) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    const readyMs = performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    return { readyMs, idleMb: residentKb(child.pid!) / 1024 };
  } finally {
    child.kill();
    await once(child, 'exit');
  }
}

/** KB of resident memory that a connection and a relay add, after garbage collection. */
async function memoryOf(): Promise<{ connectionKb: number; relayKb: number }> {
  const port = await freePort();
  const standalone = await ServiceProcess.start('standalone', {
    ...COLLECTABLE,
    SPANMESH_LOG_LEVEL: 'error',
    SPANMESH_DATA_DIR: '',
    SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`,
    SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: String(CONNECTIONS * 2),
  });
  try {
    await standalone.ready();
    const resident = async () => {
      await collectGarbage(standalone);
      return residentKb(standalone.child.pid!);
    };
    const waiting = new Waiting();
    // The first connections load code and tables that all others share.
    await connect(port, RECEIVERS, 'all', waiting);
    await connect(port, 100, 'nothing', waiting);
    const source = await offer(port, 100, 0, waiting);
    const first = await resident();
    await connect(port, CONNECTIONS, 'nothing', waiting);
    const connected = await resident();
    await source(SPANS);
    const relayed = await resident();
    return { connectionKb: (connected - first) / CONNECTIONS, relayKb: (relayed - connected) / (SPANS * RECEIVERS) };
  } finally {
    await standalone.stop();
  }
}

/** Counts of messages from the router, and a callback when they change. */
class Waiting {
  answered = 0;
  relays = 0;
  changed: () => void = () => {};

  async until(isSo: () => boolean): Promise<void> {
    if (isSo()) return;
    await new Promise<void>((resolve) => {
      this.changed = () => isSo() && resolve();
    });
  }
}

async function connect(port: number, peers: number, takes: 'all' | 'nothing', waiting: Waiting): Promise<void> {
  const reach = waiting.answered + peers;
  for (let n = 0; n < peers; n++) {
    await GeneratorPeer.open(
      port,
      'circuit',
      `${takes[0]}${n}`,
      (_peer, _buf, _at, cmd) => {
        const base = cmd & 0xffffff;
        if (base === 0xfff01) waiting.answered++;
        else if (base === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) waiting.relays++;
        else return;
        waiting.changed();
      },
      { takes },
    );
  }
  await waiting.until(() => waiting.answered >= reach);
}

/**
 * Connects a peer that offers spans. The returned function offers more of them, and resolves when all receivers have
 * relays of them.
 */
async function offer(port: number, spans: number, from: number, waiting: Waiting) {
  const source = await GeneratorPeer.open(port, 'circuit', 'source', () => {}, { takes: 'nothing' });
  let next = from;
  const more = async (count: number) => {
    const reach = waiting.relays + count * RECEIVERS;
    for (const end = next + count; next < end; next++) {
      source.send(SPAN | CREATE, 0x10000 + next, 0, 0, 0, 0, spanBody('circuit', next), 0);
    }
    source.flush();
    await waiting.until(() => waiting.relays >= reach);
  };
  await more(spans);
  return more;
}
