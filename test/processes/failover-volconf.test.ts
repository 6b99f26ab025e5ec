import { credentials } from '@grpc/grpc-js';
import { ListTargetsRequest, SetTargetRequest, VolconfClient } from '@spanmesh/proto/v1/volconf';
import { VOLCONF_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NatsInstallation } from '../peer/nats-installation.ts';

let installation: NatsInstallation;

beforeAll(async () => {
  installation = await NatsInstallation.start({ topologies: 1, gateways: 1, volconfs: 2 });
});

afterAll(() => installation.stop());

describe('two volconfs', () => {
  it('keep an operator’s target when the volconf leader is killed', async () => {
    const volconf = async () => {
      const { port } = await installation.leading(VOLCONF_ROLE);
      const leader = installation.volconfs.find(({ ports }) => ports.service === port)!;
      return { leader, standby: installation.volconfs.find((one) => one !== leader)! };
    };
    const { leader, standby } = await volconf();
    const client = new VolconfClient(`127.0.0.1:${standby.ports.grpc}`, credentials.createInsecure());
    const list = () =>
      new Promise<string[] | undefined>((resolve) => {
        client.listTargets(ListTargetsRequest.create(), (error, answer) => {
          resolve(error === null ? answer.targets.map(({ name }) => name) : undefined);
        });
      });
    try {
      // The call goes to the standby; the leader dials.
      const target = SetTargetRequest.fromPartial({ name: 'disk', path: 'span:127.0.0.1:1' });
      await new Promise<void>((resolve, reject) => {
        client.setTarget(target, (error) => (error === null ? resolve() : reject(error)));
      });
      await leader.stop('SIGKILL');
      const next = await installation.leaderOtherThan(VOLCONF_ROLE, leader.ports.service);
      expect(next.port).toBe(standby.ports.service);
      const names = await eventually(async () => {
        const found = await list();
        return found?.includes('disk') ? found : undefined;
      }, 'the new leader has the target');
      expect(names).toContain('disk');
      process.stdout.write(`volconf leader killed -9: new leader ms ${Math.round(next.ms)}\n`);
    } finally {
      client.close();
    }
  });
});
