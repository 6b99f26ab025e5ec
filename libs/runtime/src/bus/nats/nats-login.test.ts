import { type Authenticator, nkeys } from 'nats';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../clock.ts';
import { Metrics } from '../../metrics.ts';
import { Certificates, recordingLogger } from '../../tls/certificates.fixture.ts';
import { openBus } from '../open-bus.ts';
import { NatsBus } from './nats-bus.ts';
import { connectionOptions } from './nats-options.ts';
import { NatsServerProcess, natsOptionsFor } from './nats-server.fixture.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const letsIn = (password: string) => `authorization { user: ann, password: "${password}" }\n`;

async function server(config: string): Promise<NatsServerProcess> {
  const made = await NatsServerProcess.start({ config });
  ends.push(() => made.remove());
  return made;
}

function directory(): Certificates {
  const made = new Certificates();
  ends.push(() => made.remove());
  return made;
}

function bus(at: NatsServerProcess, env: Record<string, string>) {
  const { lines, logger } = recordingLogger();
  const made = new NatsBus(natsOptionsFor([at], env), { clock: systemClock, logger, onError: () => {} });
  ends.push(() => made.close());
  return { made, lines };
}

function connected({ link }: NatsBus): Promise<void> {
  return new Promise((resolve) => {
    if (link.connected) resolve();
    else link.onConnect(resolve);
  });
}

/** Resolves when the bus has connected once more. */
function again({ link }: NatsBus): Promise<void> {
  return new Promise((resolve) => {
    const subscription = link.onConnect(() => {
      subscription.unsubscribe();
      resolve();
    });
  });
}

it('a password in a file may change, either in the file first or at the server: the process reconnects by itself', async () => {
  const one = await server(letsIn('oLd one'));
  const files = directory();
  // With a line end, as an editor leaves it.
  const env = { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD_FILE: files.file('oLd one\n', 'password') };
  const { made, lines } = bus(one, env);
  await connected(made);
  // The file changes first: nothing happens until the server expects the new password.
  files.file('seCond', 'password');
  const second = again(made);
  one.reload(letsIn('seCond'));
  await second;
  // The server changes first: we are refused until the file is right.
  const third = again(made);
  const refused = new Promise<void>((resolve) => made.link.onOutcome((failure) => failure?.refused && resolve()));
  one.reload(letsIn('tHird'));
  await refused;
  // Half-way through a change the file is empty.
  files.file('', 'password');
  files.file('tHird', 'password');
  await third;
  expect(made.link.losses).toBe(2);
  await (await made.kv('k')).put('k', new Uint8Array([1]));
  expect(lines.join('')).not.toMatch(/oLd|seCond|tHird/);
}, 60_000);

it.each(['SPANMESH_NATS_NKEY_FILE', 'SPANMESH_NATS_CREDS_FILE'])('%s is read again at each login', (setting) => {
  const files = directory();
  const [first, second] = [nkeys.createUser(), nkeys.createUser()] as const;
  const content = (seed: Uint8Array) =>
    setting === 'SPANMESH_NATS_NKEY_FILE'
      ? `${Buffer.from(seed)}\n`
      : `-----BEGIN NATS USER JWT-----\nx.y.z\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${Buffer.from(seed)}\n------END USER NKEY SEED------\n`;
  const at = { url: 'nats://127.0.0.1:1' } as NatsServerProcess;
  const { authenticator } = connectionOptions(
    natsOptionsFor([at], { [setting]: files.file(content(first.getSeed()), 'key') }),
  );
  // Which key has signed the server's challenge.
  const signs = (key: typeof first) => {
    const { sig } = (authenticator as Authenticator)('nonce') as { sig: string };
    return key.verify(Buffer.from('nonce'), Buffer.from(sig, 'base64url'));
  };
  expect([signs(first), signs(second)]).toEqual([true, false]);
  files.file(content(second.getSeed()), 'key');
  expect([signs(first), signs(second)]).toEqual([false, true]);
  // Half-way through a change the file is empty.
  files.file('', 'key');
  expect(signs(second)).toBe(true);
});

it('settings that contradict a file of a password are refused', () => {
  const files = directory();
  const file = files.file('x');
  const at = { url: 'nats://127.0.0.1:1' } as NatsServerProcess;
  const opening = (env: Record<string, string>) => () =>
    openBus(natsOptionsFor([at], env), { logger: recordingLogger().logger, metrics: new Metrics() });
  expect(opening({ SPANMESH_NATS_PASSWORD_FILE: file })).toThrow(/^SPANMESH_NATS_USER: must be set, too/);
  const user = { SPANMESH_NATS_USER: 'ann', SPANMESH_NATS_PASSWORD_FILE: file };
  expect(opening({ ...user, SPANMESH_NATS_PASSWORD: 'y' })).toThrow(/^SPANMESH_NATS_PASSWORD_FILE: cannot be used/);
  const absent = `${file}-not-there`;
  expect(opening({ ...user, SPANMESH_NATS_PASSWORD_FILE: absent })).toThrow(
    /^SPANMESH_NATS_PASSWORD_FILE: .*there is no such file/,
  );
  expect(opening({ ...user, SPANMESH_NATS_PASSWORD_FILE: files.file('') })).toThrow(
    /^SPANMESH_NATS_PASSWORD_FILE: .* is empty/,
  );
});
