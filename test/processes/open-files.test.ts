import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { ServiceProcess } from '../peer/installation.ts';
import { scrape } from '../peer/scrape.ts';

const OPEN_FILES = 256;
const REFUSED = 'spanmesh_gateway_connections_refused_total{reason="file-descriptors"}';
const CONNECTIONS = 'spanmesh_gateway_connections';

let standalone: ServiceProcess;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await standalone.stop('SIGKILL');
});

async function knock(port: number): Promise<{ socket: Socket; closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  sockets.push(socket);
  const closed = once(socket, 'close');
  await Promise.race([once(socket, 'connect'), closed]);
  return { socket, closed };
}

describe('a process at its limit of open files', () => {
  it('refuses peers, counts and reports that, and does everything else', async () => {
    const port = await freePort();
    const env = { SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`, SPANMESH_DATA_DIR: '' };
    standalone = await ServiceProcess.start('standalone', env, { openFiles: OPEN_FILES });
    await standalone.ready();
    const { http, grpc } = standalone.ports;
    const knocks = await Promise.all(Array.from({ length: 2 * OPEN_FILES }, () => knock(port)));
    // The process cannot have accepted all of these connections.
    await Promise.any(knocks.map(({ closed }) => closed));
    await until(async () => {
      const metrics = await scrape(http);
      return metrics.get(REFUSED)! + metrics.get(CONNECTIONS)! === knocks.length;
    }, 'everybody has been let in or refused');
    expect((await scrape(http)).get(CONNECTIONS)).toBeGreaterThan(OPEN_FILES / 4);
    // All refusals together are reported in one line.
    const lines = standalone.output.split('\n').filter((line) => line.includes('file-descriptors'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('ulimit -n');
    expect((await fetch(`http://127.0.0.1:${http}/livez`)).status).toBe(200);
    expect(await main(['status', '--address', `127.0.0.1:${grpc}`], new RecordingTerminal())).toBe(0);
    // There is room again: peers are accepted.
    for (const { socket } of knocks) socket.destroy();
    await until(async () => (await scrape(http)).get(CONNECTIONS) === 0, 'all are gone');
    const refused = (await scrape(http)).get(REFUSED);
    await until(async () => {
      await knock(port);
      return (await scrape(http)).get(CONNECTIONS)! > 0;
    }, 'a peer is let in');
    expect((await scrape(http)).get(REFUSED)).toBeGreaterThanOrEqual(refused!);
    expect(await standalone.stop('SIGTERM')).toBe(0);
  });

  it('continues when all open files are connections to the API, and serves the API again once there is room', async () => {
    const port = await freePort();
    const env = { SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`, SPANMESH_DATA_DIR: '' };
    standalone = await ServiceProcess.start('standalone', env, { openFiles: OPEN_FILES });
    await standalone.ready();
    const { grpc } = standalone.ports;
    const knocks = await Promise.all(Array.from({ length: 2 * OPEN_FILES }, () => knock(grpc)));
    // The process cannot have accepted all of these connections.
    await Promise.any(knocks.map(({ closed }) => closed));
    for (const { socket } of knocks) socket.destroy();
    await until(
      async () => (await main(['status', '--address', `127.0.0.1:${grpc}`], new RecordingTerminal())) === 0,
      'the API answers',
    );
    expect(await standalone.stop('SIGTERM')).toBe(0);
  });
});
