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
