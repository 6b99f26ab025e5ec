import { connect, Socket } from 'node:net';
import { TestDirectory, testKeys } from '@spanmesh/dmsg-socket/keys/keys.fixture';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayMetrics } from '../metrics.ts';
import { TestGateway } from '../testing/gateway.fixture.ts';
import { accept } from './accept.ts';
import { AcceptFilter } from './accept-filter.ts';
import type { Admitted, NotAdmitted } from './admission.ts';
import { RefusalLog } from './refusal-log.ts';
import { type EntryDependencies, refuse } from './upgrade.ts';

const BALANCER = '127.0.0.8';

/** The dependencies of an entrance whose admission answers `access`. */
function coreWhere(access: Admitted | NotAdmitted) {
  const metrics = new GatewayMetrics();
  const lines: unknown[] = [];
  const limited: string[] = [];
  const core = {
    metrics,
    entrance: {
      admission: { look: () => access },
      proxied: { trusts: (address: string) => address === BALANCER },
    },
    throttle: { admit: () => ({ log: true, suppressed: 0 }) },
    refusals: { admit: () => ({ log: true, suppressed: 0, others: 0 }) },
    logger: { warn: (line: unknown) => void lines.push(line) },
    shares: { connectionRefused: (principal: string, bound: string) => void limited.push(`${principal} ${bound}`) },
  } as unknown as EntryDependencies;
  return { core, metrics, lines, limited };
}

describe('the accept filter', () => {
  it('refuses an address that admission would refuse, counts it and logs it', () => {
    const { core, metrics, lines, limited } = coreWhere({ kind: 'refused', refusal: 'too-many-from-address' });
    expect(new AcceptFilter(core).check('::ffff:192.0.2.1')).toBe(true);
    expect(metrics.refused['too-many-from-address']).toBe(1);
    // The refusal is also reported by an event and by status.
    expect(limited).toEqual([expect.stringMatching(/ share$/)]);
    expect(lines).toMatchObject([{ peer: '192.0.2.1', refusal: 'too-many-from-address' }]);
  });

  it('lets everybody else past: peers that admission takes, and balancers, whose PROXY header decides', () => {
    expect(new AcceptFilter(coreWhere({ kind: 'plaintext', file: '' }).core).check('192.0.2.1')).toBe(false);
    const { core, metrics } = coreWhere({ kind: 'refused', refusal: 'no-key' });
    expect(new AcceptFilter(core).check(BALANCER)).toBe(false);
    expect(metrics.refused['no-key']).toBe(0);
  });

  it('logs the same kind of refusal again if another file of the keys directory is the reason', () => {
    const refusals = new RefusalLog({ intervalMs: 1000 }, { clock: new FakeClock() });
    const { core, lines } = coreWhere({ kind: 'refused', refusal: 'bad-key' });
    for (const file of ['remote/a.pub', 'remote/b.pub', 'remote/a.pub']) {
      refuse({ ...core, refusals }, { host: '192.0.2.1', port: 0 }, { kind: 'refused', refusal: 'bad-key', file });
    }
    expect(lines).toMatchObject([{ file: 'remote/a.pub' }, { file: 'remote/b.pub' }]);
  });

  let stop: () => Promise<void>;
  afterEach(() => stop?.());

  it('counts each refusal once, and logs the same one once an interval', async () => {
    const directory = new TestDirectory({ 'rsa.prv': testKeys().prv, 'remote/127.0.0.2.none': '' });
    const gateway = await TestGateway.start({ env: { SPANMESH_KEYS_DIR: directory.path } });
    stop = async () => {
      await gateway.stop();
      directory.remove();
    };
    for (let n = 0; n < 20; n++) {
      const socket = connect({ host: '127.0.0.1', port: gateway.port('circuit'), localAddress: '127.0.0.3' });
      socket.on('error', () => {}).resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    const said = gateway.log.filter(({ msg }) => msg === 'connection refused');
    expect(said).toMatchObject([{ peer: '127.0.0.3', refusal: 'no-key' }]);
    expect(await gateway.metrics.text()).toContain('connections_refused_total{reason="no-key"} 20\n');
  });

  it('a connection that was reset before it was looked at is counted as gone, and not logged', () => {
    const { core, metrics, lines } = coreWhere({ kind: 'plaintext', file: '' });
    const socket = new Socket();
    accept(core, socket, 'circuit');
    expect(socket.destroyed).toBe(true);
    expect(metrics.refused.gone).toBe(1);
    expect(lines).toEqual([]);
  });
});
