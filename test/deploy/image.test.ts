import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packages } from '../house/packages.ts';
import { runHealth } from './health-command.ts';
import { settingNames } from './setting-names.ts';

const root = join(import.meta.dirname, '../..');
const text = (path: string) => readFileSync(join(root, path), 'utf8');
const dockerfile = text('deploy/docker/Dockerfile');

describe('the Dockerfile', () => {
  it('copies the manifest of every workspace before it installs, because npm ci needs them all', () => {
    const copied = [...dockerfile.matchAll(/^COPY (\S+)\/package\.json \S+$/gm)].map(([, path]) => path);
    const page = 'services/console/web';
    expect(copied.sort()).toEqual([...packages(root).map(({ path }) => path), page, 'test'].sort());
  });

  it('states the version of package.json', () => {
    const { version } = JSON.parse(text('package.json')) as { version: string };
    expect(/^ARG VERSION=(\S+)$/m.exec(dockerfile)?.[1]).toBe(version);
  });

  it('sets only variables that some service reads', () => {
    const known = settingNames();
    const used = [...dockerfile.matchAll(/SPANMESH_[A-Z_]+/g)].map(([name]) => name);
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  });

  it('runs as a numeric user other than root, and without a shell', () => {
    expect(dockerfile).toMatch(/^USER 1000:1000$/m);
    for (const instruction of ['ENTRYPOINT', 'CMD']) {
      const forms = [...dockerfile.matchAll(new RegExp(`(?:^|\\s)${instruction} (.)`, 'g'))].map(([, first]) => first);
      expect(forms.length).toBeGreaterThan(0);
      expect(new Set(forms)).toEqual(new Set(['[']));
    }
  });
});

describe('docker-compose.yml', () => {
  const compose = text('docker-compose.yml');

  it('gives a gateway the time that its drain takes, and some more', () => {
    const seconds = (name: string) => Number(new RegExp(`^ *${name}: (\\d+)s$`, 'm').exec(compose)?.[1]);
    expect(seconds('stop_grace_period')).toBeGreaterThanOrEqual(seconds('SPANMESH_STOP_TIMEOUT') + 5);
  });

  it('sets only variables that some service reads', () => {
    const known = settingNames();
    const used = [...compose.matchAll(/^ {2,}(SPANMESH_[A-Z_]+):/gm)].map(([, name]) => name!);
    expect(used).toEqual(expect.arrayContaining(['SPANMESH_NATS_URL', 'SPANMESH_GATEWAY_NAME']));
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  });

  it('accepts no peer, unless it is told to accept peers of its own network in plaintext', () => {
    expect(compose).toMatch(/^ {6}- \$\{SPANMESH_PEERS:-\.\/deploy\/compose\/peers\}:\/etc\/spanmesh\/peers:ro$/m);
    expect(readdirSync(join(root, 'deploy/compose/peers')).filter((name) => !name.startsWith('.'))).toEqual([]);
    const subnet = /subnet: (\S+)$/m.exec(compose)?.[1];
    expect(readdirSync(join(root, 'deploy/compose/peers-plaintext'))).toEqual([`${subnet!.replace('/', '_')}.none`]);
  });

  it('gives each container a volume of its own for its key pair, and none of another container', () => {
    const services = compose.slice(compose.indexOf('\nservices:'), compose.indexOf('\nvolumes:'));
    const mounted = new Map<string, string[]>();
    for (const [, service, text] of services.matchAll(/^ {2}([a-z-]+):\n((?: {4}.*\n|\n)*)/gm)) {
      mounted.set(
        service!,
        [...text!.matchAll(/^ {6}- ((?:tls|keys)[a-z-]*):/gm)].map(([, volume]) => volume!),
      );
    }
    const all = ['tls-nats', 'tls-topology-a', 'tls-topology-b', 'tls-gateway', 'tls-volconf', 'keys'];
    expect(Object.fromEntries([...mounted].filter(([, volumes]) => volumes.length > 0))).toEqual({
      // This service makes the certificates, and ends.
      certificates: all,
      nats: ['tls-nats'],
      'topology-a': ['tls-topology-a'],
      'topology-b': ['tls-topology-b'],
      gateway: ['tls-gateway', 'keys'],
      volconf: ['tls-volconf'],
    });
  });

  it('explains beside each published port what publishing it means', () => {
    expect(compose).toMatch(/# │ DANGER: .*│\n(?: {4}# │.*│\n)+ {4}# └─+┘\n {4}ports:/);
  });

  it('publishes on the loopback unless told otherwise', () => {
    const published = [...compose.matchAll(/^ {6}- (\S+:\d+)$/gm)].map(([, port]) => port!);
    expect(published).toHaveLength(4);
    for (const port of published) expect(port).toMatch(/^\$\{SPANMESH_PUBLISH\w*:-127\.0\.0\.1:/);
  });
});

describe('the command of HEALTHCHECK', () => {
  let server: Server;
  let answer = 200;
  let port = 0;

  beforeAll(async () => {
    server = createServer((request, response) => response.writeHead(answer).end(`${request.url}\n`));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });

  afterAll(() => {
    server.close();
  });

  it('checks liveness, at the address where HTTP listens', async () => {
    answer = 200;
    expect(await runHealth(`127.0.0.1:${port}`)).toEqual({ code: 0, output: '/livez\n' });
    expect(await runHealth(`0.0.0.0:${port}`)).toEqual({ code: 0, output: '/livez\n' });
  });

  it('checks readiness when told to', async () => {
    answer = 503;
    expect(await runHealth(`127.0.0.1:${port}`, 'readyz')).toEqual({ code: 1, output: '/readyz\n' });
  });

  it('fails, and says why, if the process does not answer', async () => {
    const { code, output } = await runHealth('127.0.0.1:1');
    expect(code).toBe(1);
    expect(output).toMatch(/fetch failed|bad port/);
  });
});
