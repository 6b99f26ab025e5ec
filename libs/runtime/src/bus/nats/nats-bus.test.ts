import { nkeys } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../clock.ts';
import { Metrics } from '../../metrics.ts';
import { Certificates, recordingLogger } from '../../tls/certificates.fixture.ts';
import { BusError, type KvEntry } from '../bus.ts';
import { busContract } from '../bus-contract.ts';
import { BUCKETS, LEASES_BUCKET } from '../bus-names.ts';
import { openBus } from '../open-bus.ts';
import { NatsBus } from './nats-bus.ts';
import { NatsServerProcess, natsOptionsFor, startNatsCluster, streamLeader } from './nats-server.fixture.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (data: Uint8Array | null): string | null => (data === null ? null : new TextDecoder().decode(data));

const opened: NatsBus[] = [];
const servers: NatsServerProcess[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((bus) => bus.close()));
  await Promise.all(servers.splice(0).map((server) => server.remove()));
});

async function server(config?: string): Promise<NatsServerProcess> {
  const made = await NatsServerProcess.start(config === undefined ? {} : { config });
  servers.push(made);
  return made;
}

function busAt(at: readonly NatsServerProcess[], env?: Record<string, string>): NatsBus {
  const { logger } = recordingLogger();
  const bus = new NatsBus(natsOptionsFor(at, env), { clock: systemClock, logger, onError: () => {} });
  opened.push(bus);
  return bus;
}

function connected(bus: NatsBus): Promise<void> {
  return new Promise((resolve) => {
    if (bus.link.connected) resolve();
    else bus.link.onConnect(resolve);
  });
}

/** The result of a start with these settings: '' if it succeeds, else the line that the operator reads. */
async function outcome(at: readonly NatsServerProcess[], env: Record<string, string>) {
  const { lines, logger } = recordingLogger();
  const { bus, check } = openBus(natsOptionsFor(at, env), { logger, metrics: new Metrics() });
  const said = await check().then(
    () => '',
    (error: Error) => error.message,
  );
  await bus.close();
  return { said, lines: lines.join('') };
}

/** Repeats a change until the store takes it: a server that has just started needs a moment. */
async function untilTaken<T>(change: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await change();
    } catch (error) {
      if (!(error instanceof BusError && error.code === 'unavailable')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

describe('with one server', () => {
  let one: NatsServerProcess;
  beforeAll(async () => {
    one = await NatsServerProcess.start();
  });
  afterAll(() => one.remove());

  busContract('NatsBus', async (thrown) => {
    const { logger } = recordingLogger();
    const bus = new NatsBus(natsOptionsFor([one]), { clock: systemClock, logger, onError: thrown });
    await connected(bus);
    return bus;
  });
});

describe('a server that is away', () => {
  it('is waited for: buckets answer at once that it is away, and work once it is there', async () => {
    const late = await server();
    await late.stop();
    const bus = busAt([late]);
    const kv = await bus.kv('late');
    await expect(kv.get('k')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(kv.watch(() => {})).rejects.toMatchObject({ code: 'unavailable' });
    bus.publish('nobody.hears', encode('x'));
    await late.startAgain();
    await connected(bus);
    await untilTaken(() => kv.put('k', encode('x')));
    expect(decode((await kv.get('k'))!.value)).toBe('x');
  });

  // Causes: line NATS cannot be reached yet: this process goes on, and finds the others when it can
  it('does not hold up a start for long, and is logged', async () => {
    const away = await server();
    await away.stop();
    const { said, lines } = await outcome([away], {});
    expect(said).toBe('');
    expect(lines).toContain('this process goes on');
  });
});

describe('a server that is restarted', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    '(%s) keeps what it has; watches go on, and repeat nothing',
    async (signal) => {
      const one = await server();
      const bus = busAt([one]);
      await connected(bus);
      const kv = await bus.kv('kept');
      await kv.put('a', encode('1'));
      const revision = await kv.put('b', encode('2'));
      const told: string[] = [];
      await kv.watch(({ key, value }) => told.push(`${key}=${decode(value)}`));
      await one.stop(signal);
      await one.startAgain();
      await untilTaken(() => kv.update('b', encode('3'), revision));
      await expect.poll(() => told).toEqual(['a=1', 'b=2', 'b=3']);
      expect(bus.link.losses).toBe(1);
    },
  );

  it('without its store is filled anew: a watch reports removed keys and new ones', async () => {
    const one = await server();
    const bus = busAt([one]);
    await connected(bus);
    const kv = await bus.kv('wiped');
    await kv.put('a', encode('1'));
    await kv.put('gone', encode('x'));
    const told: string[] = [];
    await kv.watch(({ key, value }) => told.push(`${key}=${decode(value)}`));
    await one.stop('SIGKILL');
    one.wipe();
    await one.startAgain();
    // The revision is the same as before, with another value.
    await untilTaken(() => kv.put('a', encode('2')));
    const last = () => [told.findLast((one) => one.startsWith('a=')), told.findLast((one) => one.startsWith('gone='))];
    await expect.poll(last).toEqual(['a=2', 'gone=null']);
    expect(told.filter((one) => one !== 'a=null')).toHaveLength(4);
  });

  it('that is paused counts as lost after two pings, and is reconnected', async () => {
    const one = await server();
    const bus = busAt([one]);
    await connected(bus);
    one.signal('SIGSTOP');
    await expect.poll(() => bus.link.connected).toBe(false);
    await expect((await bus.kv('paused')).get('k')).rejects.toMatchObject({ code: 'unavailable' });
    one.signal('SIGCONT');
    await connected(bus);
    await untilTaken(async () => (await bus.kv('paused')).put('k', encode('x')));
  });
});

it('shows the copies of the buckets as long as a server is connected', async () => {
  const one = await server();
  const { logger } = recordingLogger();
  const { bus, link, check, copies } = openBus(natsOptionsFor([one]), { logger, metrics: new Metrics() });
  try {
    await check();
    await expect
      .poll(copies)
      .toEqual(BUCKETS.map((bucket) => ({ bucket: `spanmesh-${bucket}`, wanted: 1, there: 1, trouble: '' })));
    await one.stop();
    await expect.poll(() => link?.connected).toBe(false);
    expect(await copies()).toEqual([]);
  } finally {
    await bus.close();
  }
});

describe('a cluster of three', () => {
  it('may lose its leader, and nothing else is lost', async () => {
    const three = await startNatsCluster();
    servers.push(...three);
    const env = { SPANMESH_NATS_REPLICAS: '3' };
    const [writer, reader] = [busAt(three, env), busAt(three.toReversed(), env)];
    const kv = await writer.kv('shared');
    const revision = await untilTaken(() => kv.put('k', encode('before')));
    const told: KvEntry[] = [];
    await untilTaken(async () => (await reader.kv('shared')).watch((entry) => told.push(entry)));
    const shared = { bucket: 'spanmesh-shared', wanted: 3, trouble: '' };
    expect(await reader.copies(['shared'])).toEqual([{ ...shared, there: 3 }]);
    await three[await streamLeader(writer.link.nats, 'KV_spanmesh-shared')]!.stop('SIGKILL');
    await untilTaken(async () => {
      // A write of unknown outcome is looked up, as a lease does.
      const last = await kv.get('k');
      return decode(last!.value) === 'after' ? last!.revision : kv.update('k', encode('after'), revision);
    });
    await expect.poll(() => told.map(({ value }) => decode(value))).toEqual(['before', 'after']);
    await expect.poll(() => reader.copies(['shared'])).toEqual([{ ...shared, there: 2 }]);
  }, 90_000);

  it('is needed for more than one copy, and a start without it says so', async () => {
    const one = await server();
    expect((await outcome([one], { SPANMESH_NATS_REPLICAS: '3' })).said).toMatch(
      /^SPANMESH_NATS_REPLICAS: .*the NATS servers are no cluster, and keep one copy: set 1, or /,
    );
  });
});

describe('a bucket that another client has made', () => {
  it('with a time to live is refused: a lease that vanishes makes two leaders', async () => {
    const one = await server();
    const bus = busAt([one]);
    await connected(bus);
    await bus.link.nats.jetstream().views.kv('spanmesh-gateways', { ttl: 1000 });
    expect((await outcome([one], {})).said).toMatch(/must have no TTL/);
  });

  it('with another number of copies is refused, with the command that changes it', async () => {
    const one = await server();
    const bus = busAt([one]);
    await connected(bus);
    // The bucket that is looked at first.
    await (await bus.kv(LEASES_BUCKET)).put('k', encode('x'));
    expect((await outcome([one], { SPANMESH_NATS_REPLICAS: '3' })).said).toMatch(
      /^SPANMESH_NATS_REPLICAS: .*has 1 copies, not 3: set 1, or /,
    );
  });

  it('is shared with other clients of NATS', async () => {
    const one = await server();
    const bus = busAt([one]);
    await connected(bus);
    const kv = await bus.kv('other');
    await kv.put('k', encode('x'));
    const theirs = await bus.link.nats.jetstream().views.kv('spanmesh-other');
    expect((await theirs.get('k'))!.string()).toBe('x');
    await theirs.purge('k');
    expect(await kv.get('k')).toBeNull();
    await kv.create('k', encode('y'));
  });
});

describe('our login', () => {
  it('is a user with a password, a token, or an nkey; a wrong one is reported in one line, without any secret', async () => {
    const key = nkeys.createUser();
    const files = new Certificates();
    const cases: [string, Record<string, string>, Record<string, string>][] = [
      [
        'authorization { user: ann, password: sEcret1 }',
        { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD: 'sEcret1' },
        { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD: 'wrOng1' },
      ],
      ['authorization { token: sEcret2 }', { SPANMESH_NATS_TOKEN: 'sEcret2' }, { SPANMESH_NATS_TOKEN: 'wrOng2' }],
      [
        `authorization { users: [ { nkey: ${key.getPublicKey()} } ] }`,
        { SPANMESH_NATS_NKEY_FILE: files.file(key.getSeed()) },
        { SPANMESH_NATS_NKEY_FILE: files.file(`${Buffer.from(nkeys.createUser().getSeed())}\n`) },
      ],
    ];
    try {
      for (const [config, right, wrong] of cases) {
        const one = await server(config);
        const good = await outcome([one], right);
        expect(good.said).toBe('');
        expect(good.lines).toContain('connected with NATS');
        const bad = await outcome([one], wrong);
        expect(bad.said).toMatch(/^SPANMESH_NATS_URL: the server does not let us in/);
        expect(good.lines + bad.lines + bad.said).not.toMatch(/sEcret|wrOng|SU[A-Z2-7]{20}/);
      }
    } finally {
      files.remove();
    }
  });

  it('is a user of an account, by a file of credentials', async () => {
    const [operator, account, system, user] = [
      nkeys.createOperator(),
      nkeys.createAccount(),
      nkeys.createAccount(),
      nkeys.createUser(),
    ];
    const any = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
    const stores = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
    const systemJwt = token(operator, system, { type: 'account', limits: any });
    const accountJwt = token(operator, account, { type: 'account', limits: { ...any, ...stores } });
    const preload = `${system.getPublicKey()}: ${systemJwt}, ${account.getPublicKey()}: ${accountJwt}`;
    const one = await server(
      `operator: ${token(operator, operator, { type: 'operator' })}
       system_account: ${system.getPublicKey()}
       resolver: MEMORY
       resolver_preload: { ${preload} }`,
    );
    const userJwt = token(account, user, { type: 'user', subs: -1, data: -1, payload: -1 });
    const files = new Certificates();
    try {
      const seed = Buffer.from(user.getSeed());
      const creds = files.file(
        `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
      );
      const bus = busAt([one], { SPANMESH_NATS_CREDS_FILE: creds });
      await connected(bus);
      await (await bus.kv('account')).put('k', encode('x'));
      const none = files.file('nothing of use');
      for (const env of [{}, { SPANMESH_NATS_CREDS_FILE: none }] as Record<string, string>[]) {
        expect((await outcome([one], env)).said).toMatch(/^SPANMESH_NATS_URL: the server does not let us in/);
      }
    } finally {
      files.remove();
    }
  });

  it('is configured in one way only', async () => {
    const one = await server();
    const both = { SPANMESH_NATS_USER: 'u', SPANMESH_NATS_TOKEN: 't' };
    await expect(outcome([one], both)).rejects.toThrow(/SPANMESH_NATS_TOKEN: cannot be used together/);
    await expect(outcome([one], { SPANMESH_NATS_CREDS_FILE: '/nowhere' })).rejects.toThrow(
      /SPANMESH_NATS_CREDS_FILE: .*there is no such file/,
    );
    const inUrl = { SPANMESH_NATS_URL: 'nats://ann:sEcret@127.0.0.1:4222' };
    await expect(outcome([one], inUrl)).rejects.toThrow(/^SPANMESH_NATS_URL: value 1: must not hold credentials/);
    await expect(outcome([one], inUrl)).rejects.not.toThrow(/sEcret/);
  });
});

describe('TLS', () => {
  it('is used when asked for, with certificates on both sides, and never given up', async () => {
    const files = new Certificates();
    try {
      const ours = files.files(['localhost', 'gateway']);
      const own = `cert_file: "${ours.cert}", key_file: "${ours.key}", ca_file: "${ours.ca}"`;
      const secured = await server(`tls { ${own}, verify: true }`);
      const plain = await server();
      const env = {
        SPANMESH_NATS_URL: `tls://localhost:${secured.port}`,
        SPANMESH_NATS_TLS_CA: ours.ca!,
        SPANMESH_NATS_TLS_CERT: ours.cert,
        SPANMESH_NATS_TLS_KEY: ours.key,
      };
      expect((await outcome([secured], env)).lines).toContain('connected with NATS');
      const stranger = files.files(['other']).ca!;
      const others: [string, Record<string, string>][] = [
        ['another CA', { ...env, SPANMESH_NATS_TLS_CA: new Certificates().files(['x']).ca! }],
        ['no certificate', { ...env, SPANMESH_NATS_TLS_CERT: '', SPANMESH_NATS_TLS_KEY: '' }],
        [
          'no TLS there',
          { ...env, SPANMESH_NATS_URL: `tls://localhost:${plain.port}`, SPANMESH_NATS_TLS_CA: stranger },
        ],
      ];
      for (const [what, wrong] of others) {
        expect((await outcome([secured], wrong)).lines, what).not.toContain('connected with NATS');
      }
      const { lines } = await outcome([plain], { SPANMESH_NATS_URL: 'nats://nats.invalid:4222' });
      expect(lines).toContain('plaintext to NATS');
    } finally {
      files.remove();
    }
  });
});

/** A JWT in the form that `nsc` makes. */
function token(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()];
  const claims = {
    jti: sub,
    iat: Math.floor(Date.now() / 1000),
    iss,
    name: 'test',
    sub,
    nats: { ...nats, version: 2 },
  };
  const signed = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`;
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`;
}

type KeyPair = ReturnType<typeof nkeys.createUser>;
