import { expect, it } from 'vitest';
import { NatsServers } from './nats-servers.ts';

// Limits: bus/nats/nats-servers.ts MAX_TOLD
it('a cluster may name at most 32 servers besides those of the settings', () => {
  const servers = new NatsServers([{ host: 'a', port: 1 }], { random: () => 0 });
  const by = { address: 'a:1', tlsName: undefined };
  const told = (count: number) => Array.from({ length: count }, (_, n) => `10.0.0.1:${n + 1}`);
  servers.note(['a:1', ...told(32)], by);
  expect(servers.inRandomOrder()).toHaveLength(33);
  servers.note(told(33), by);
  expect(servers.inRandomOrder()).toHaveLength(33);
  expect(servers.inRandomOrder().some(({ address }) => address === '10.0.0.1:33')).toBe(false);
});

it('servers that the cluster has named are known by the name of the one that has told them, unless that is an address', () => {
  const servers = new NatsServers([{ host: 'a', port: 1 }], { random: () => 0 });
  const namesBy = (address: string, tlsName?: string) => {
    servers.note(['10.0.0.1:1'], { address, tlsName });
    return servers.inRandomOrder();
  };
  const configured = { address: 'a:1', tlsName: undefined };
  expect(namesBy('nats.example:4222')).toEqual([configured, { address: '10.0.0.1:1', tlsName: 'nats.example' }]);
  expect(namesBy('10.0.0.2:4222', 'nats')).toEqual([configured, { address: '10.0.0.1:1', tlsName: 'nats' }]);
  for (const address of ['10.0.0.2:4222', '[::1]:4222']) {
    expect(namesBy(address)).toEqual([configured, { address: '10.0.0.1:1', tlsName: undefined }]);
  }
});

it('servers are tried in random order', () => {
  const numbers = [0.5, 0.9, 0.1];
  const servers = new NatsServers(
    ['a', 'b', 'c'].map((host) => ({ host, port: 1 })),
    { random: () => numbers.shift() ?? 0 },
  );
  expect(servers.inRandomOrder().map(({ address }) => address)).toEqual(['c:1', 'a:1', 'b:1']);
});
