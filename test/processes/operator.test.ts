import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EchoNode } from '../peer/echo-node.ts';
import type { ServiceProcess } from '../peer/installation.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';

let installation: NatsInstallation;
beforeAll(async () => {
  installation = await NatsInstallation.start({ topologies: 1, gateways: 1, volconfs: 1 });
}, 4 * PATIENCE_MS);
afterAll(() => installation?.stop());

interface Answer {
  readonly code: number;
  readonly printed: string;
  readonly noted: string;
}

/** Runs a command against a process's API. */
async function spanmesh({ ports }: ServiceProcess, ...args: string[]): Promise<Answer> {
  const terminal = new RecordingTerminal();
  const code = await main([...args, '--address', `127.0.0.1:${ports.grpc}`], terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}

const processes = () => [...installation.gateways, ...installation.topologies, ...installation.volconfs];
const levels = (printed: string): string[] =>
  (JSON.parse(printed) as { processes: { service: string; logLevel: string }[] }).processes.map(
    ({ service, logLevel }) => `${service} ${logLevel}`,
  );

describe('an operator who can reach one process', () => {
  it('sees the log levels of all processes through any of them, and changes them through topology and volconf', {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    const [gateway, topology, volconf] = processes() as [ServiceProcess, ServiceProcess, ServiceProcess];
    for (const asked of processes()) {
      // On a loaded machine an answer of a process may come after the command has stopped waiting for it.
      await eventually(async () => {
        const { printed } = await spanmesh(asked, 'log-level', '-o', 'json');
        return levels(printed).join() === 'link-gateway warn,topology warn,volconf warn' ? true : undefined;
      }, 'all processes answer');
    }
    await eventually(async () => {
      const { code } = await spanmesh(topology, 'log-level', 'debug', '--service', 'volconf', '--for', '1h');
      return code === 0 ? true : undefined;
    }, 'volconf obeys');
    await eventually(
      async () => (volconf.output.includes('"msg":"log level changed"') ? true : undefined),
      'volconf says so in its log',
    );
    expect(volconf.output).toMatch(/"from":"warn","to":"debug","by":"somebody from 127\.0\.0\.1","until":"[^"]*Z"/);
    const refused = await spanmesh(gateway, 'log-level', 'debug', '--service', 'volconf');
    expect([refused.code, refused.noted]).toEqual([1, expect.stringContaining('call topology or volconf')]);
    expect(gateway.output + topology.output).not.toContain('log level changed');
  });

  it('uses every part of the API through any process', { timeout: 6 * PATIENCE_MS }, async () => {
    const node = await EchoNode.start(installation.gateways[0]!.dmsg.circuit, 'circuit', 1);
    try {
      for (const [i, asked] of processes().entries()) {
        // It takes a moment until all processes know which replica leads.
        await eventually(async () => {
          const { code } = await spanmesh(asked, 'volconf', 'set', `target-${i}`, 'span:127.0.0.1:9');
          return code === 0 ? true : undefined;
        }, 'a target is set');
        const { printed: targets } = await spanmesh(asked, 'volconf', 'list');
        expect(targets).toContain(`target-${i}`);
        const { printed: tree } = await spanmesh(asked, 'tree');
        expect(tree).toContain('echo1');
        const pinged = await spanmesh(asked, 'ping', 'echo1', '--count', '1');
        expect(pinged).toMatchObject({ code: 0, noted: '' });
      }
      for (const [i, asked] of processes().entries()) {
        expect(await spanmesh(asked, 'volconf', 'rm', `target-${i}`)).toMatchObject({ code: 0 });
      }
    } finally {
      await node.stop();
    }
  });

  it('sees the status of the installation', { timeout: 6 * PATIENCE_MS }, async () => {
    const [topology] = installation.topologies as [ServiceProcess];
    const healthy = await eventually(async () => {
      const answer = await spanmesh(topology, 'status');
      return answer.code === 0 ? answer : undefined;
    }, 'all is well');
    expect(healthy.printed).toMatch(
      /^healthy\nnote: topology has no standby[^\n]*\n\nleader: 127\.0\.0\.1:\d+, epoch \d+, lease renewed /,
    );
    expect(healthy.printed).toMatch(/^gateway-1\.[0-9a-f]{8} +attached /m);
    expect(healthy.printed).toMatch(/^volconf-\S+ +- +volconf +yes +connected /m);

    await installation.gateways[0]!.stop('SIGKILL');
    const sick = await eventually(async () => {
      const answer = await spanmesh(topology, 'status');
      // On a busy machine other processes may be missed for a moment, too.
      const isMissed = /^ {2}(gateway gateway-1\.\S+ is not attached|no gateway is attached)/m.test(answer.printed);
      return answer.code === 1 && isMissed ? answer : undefined;
    }, 'the gateway is missed');
    expect(sick.printed).toMatch(/^\d+ problems?$/m);
    expect(sick.noted).toMatch(/^spanmesh: not healthy: \d+ problems?\n$/);
  });
});
