import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServiceProcess } from '../peer/installation.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';

// Two processes of each service: one of each pair is killed in turn, and the remaining ones must report that.

let installation: NatsInstallation;
beforeAll(async () => {
  installation = await NatsInstallation.start({ topologies: 2, gateways: 2, volconfs: 2 });
}, 4 * PATIENCE_MS);
afterAll(() => installation?.stop());

/** The exit code of `spanmesh status`, and its output. */
async function status({ ports }: ServiceProcess, ...args: string[]): Promise<{ code: number; printed: string }> {
  const terminal = new RecordingTerminal();
  const code = await main(['status', ...args, '--address', `127.0.0.1:${ports.grpc}`], terminal);
  return { code, printed: terminal.printed };
}

const EXPECTED = ['--expect', 'topology=2,link-gateway=2,volconf=2'];

describe('with two processes of each service, of which one is killed', () => {
  it('the installation is well before the faults', { timeout: 6 * PATIENCE_MS }, async () => {
    await eventually(async () => {
      const { code } = await status(installation.topologies[0]!, ...EXPECTED);
      return code === 0 ? true : undefined;
    }, 'all is well');
  });

  it.each<[string, () => ServiceProcess, RegExp, RegExp]>([
    [
      'volconf',
      () => installation.volconfs[1]!,
      /^ {2}the volconf replica at \S+ is missing for \d+ s$/m,
      /^ {2}1 of 2 expected processes of volconf are there$/m,
    ],
    [
      'a gateway',
      () => installation.gateways[1]!,
      /^ {2}gateway gateway-2 is missing for \d+ s: declared dead/m,
      /^ {2}1 of 2 expected processes of link-gateway are there$/m,
    ],
    [
      'a topology',
      () => installation.topologies[1]!,
      /^ {2}the topology replica at \S+ is missing for \d+ s$/m,
      /^ {2}1 of 2 expected processes of topology are there$/m,
    ],
  ])(
    'status names the missing process, and fails: %s',
    { timeout: 6 * PATIENCE_MS },
    async (_, process, missing, fewer) => {
      await process().stop('SIGKILL');
      const { printed } = await eventually(async () => {
        const answer = await status(installation.topologies[0]!, ...EXPECTED);
        return answer.code === 1 && missing.test(answer.printed) && fewer.test(answer.printed) ? answer : undefined;
      }, 'it is missed');
      expect(printed).toMatch(/^\d+ problems\n/);
    },
  );
});
