import { expect, it } from 'vitest';
import { NatsServers } from './nats-servers.ts';

function servers(...hosts: string[]): NatsServers {
  return new NatsServers(
    hosts.map((host) => ({ host, port: 4222 })),
    { random: Math.random },
  );
}

const addresses = (of: NatsServers) => of.inRandomOrder().map(({ address }) => address);

it('are those of the settings, each once, in any order', () => {
  const three = servers('a', 'b', 'c');
  const orders = new Set(Array.from({ length: 200 }, () => addresses(three).join()));
  expect(orders.size).toBe(6);
  expect(addresses(three).sort()).toEqual(['a:4222', 'b:4222', 'c:4222']);
});

it('are also those that the last one has told of, by whose name their certificates are', () => {
  const known = servers('nats.example');
  const [by] = known.inRandomOrder();
  known.note(['192.0.2.1:4222', 'nats.example:4222'], by!);
  expect(known.inRandomOrder()).toHaveLength(2);
  expect(known.inRandomOrder()).toContainEqual({ address: '192.0.2.1:4222', tlsName: 'nats.example' });
  // Told again by that one, the name is handed on; and only what was told last counts.
  const told = known.inRandomOrder().find(({ address }) => address === '192.0.2.1:4222');
  known.note(['192.0.2.2:4222'], told!);
  expect(known.inRandomOrder()).toContainEqual({ address: '192.0.2.2:4222', tlsName: 'nats.example' });
  expect(addresses(known)).not.toContain('192.0.2.1:4222');
});

it('have no name by one that has none, and are not without end', () => {
  const known = servers('::1');
  const [by] = known.inRandomOrder();
  known.note(
    Array.from({ length: 1000 }, (_, i) => `192.0.2.1:${i}`),
    by!,
  );
  const all = known.inRandomOrder();
  expect(all).toHaveLength(33);
  expect(all.every(({ tlsName }) => tlsName === undefined)).toBe(true);
});
