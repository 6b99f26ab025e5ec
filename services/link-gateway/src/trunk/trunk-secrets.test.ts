import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { Metrics } from '@spanmesh/runtime/metrics';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, expect, it } from 'vitest';
import { shownOf } from '../testing/secrets.fixture.ts';
import { TOKEN_BYTES } from './limits.ts';
import type { AskForTrunk } from './open-trunk.ts';
import { TestGatewayEnd } from './trunk.fixture.ts';
import { registerTrunkMetrics } from './trunk-metrics.ts';

const clock = new FakeClock();
const ends: TestGatewayEnd[] = [];
afterEach(async () => {
  const stopped = Promise.all(ends.map(({ trunks }) => trunks.stop()));
  clock.advance(60_000);
  await stopped;
});

it('tokens of trunks are in no log line, error or metric, whether they are good or not', async () => {
  const secrets: Uint8Array[] = [];
  /** How the token is changed in the answer to the asking gateway, one function for each attempt. */
  const ways: ((token: Buffer) => Buffer)[] = [
    (token) => token.subarray(1),
    () => randomBytes(TOKEN_BYTES),
    (token) => token,
  ];
  const b = new TestGatewayEnd('b.00000002', clock);
  const ask: AskForTrunk = async (_address, request) => {
    const { address, token, version } = b.trunks.openTrunk(request);
    const changed = (ways.length > 1 ? ways.shift()! : ways[0]!)(Buffer.from(token));
    secrets.push(token, changed);
    return { address, token: changed, version };
  };
  const a = new TestGatewayEnd('a.00000001', clock, ask);
  ends.push(a, b);
  const metrics = ends.map(({ trunks }) => {
    const made = new Metrics();
    registerTrunkMetrics(made, trunks.metrics);
    return made;
  });
  for (const { trunks, terminal } of ends) await trunks.start(terminal);
  const list = [{ gateway: b.id, serviceAddress: '127.0.0.1:1' }];
  a.trunks.listed(list);
  // The three attempts: a token of a wrong length, a wrong token, the right one.
  await until(() => {
    a.trunks.route({ gateway: b.id, number: 1 }, 'circuit', null);
    // Advances the clock a little each time, so that the trunk is tried again.
    clock.advance(20);
    return b.terminal.opened.length > 0;
  });
  expect(ways).toHaveLength(1);
  // A token that has been used, half a token, and the token of a gateway that is refused.
  const { address, token } = b.trunks.openTrunk({ from: 'c.00000003', to: b.id, version: 1 });
  secrets.push(token);
  const port = Number(address.slice(1));
  for (const bytes of [secrets.at(-2)!, token.subarray(0, 20)]) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {}).resume();
    socket.end(bytes);
    await once(socket, 'close');
  }
  const errors: string[] = [];
  try {
    b.trunks.openTrunk({ from: 'c.00000003', to: 'x.00000009', version: 1 });
  } catch (error) {
    errors.push(JSON.stringify(error, Object.getOwnPropertyNames(error)));
  }
  expect(errors).toHaveLength(1);

  const log = ends.flatMap((end) => end.log).map((line) => JSON.stringify(line));
  expect(log.length).toBeGreaterThan(0);
  const shown = await Promise.all(metrics.map((one) => one.text()));
  const said = [...log, ...errors, ...shown].join('\n');
  expect(b.trunks.metrics.tokensRefused).toBeGreaterThan(1);
  for (const secret of secrets) expect(shownOf(secret, said)).toEqual([]);
  // Proof of the search: a token in the text would be found.
  for (const how of ['hex', 'base64'] as const) {
    expect(shownOf(token, `${said} ${Buffer.from(token).toString(how)}`)).not.toEqual([]);
  }
});
