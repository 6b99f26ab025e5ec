import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsProgram } from '@spanmesh/runtime/bus/nats/nats-program.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const PERMISSIONS = join(DEPLOY, 'k8s/components/nats-cluster/permissions.conf');

describe.each([
  ['the manifests', 'k8s/components/nats-cluster/nats.conf', ['link-gateway', 'topology', 'volconf', 'operator']],
  [
    'docker-compose.yml',
    'compose/nats.conf',
    ['link-gateway.spanmesh', 'topology.spanmesh', 'volconf.spanmesh', 'operate.clients.spanmesh'],
  ],
])('the configuration of the NATS servers of %s', (_, file, users) => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-nats-conf-'));
    mkdirSync(join(directory, 'run'));
    copyFileSync(PERMISSIONS, join(directory, 'permissions.conf'));
    writeFileSync(
      join(directory, 'nats.conf'),
      // Certificates are tested in test/processes; here the rest of the configuration is.
      readFileSync(join(DEPLOY, file), 'utf8')
        .replaceAll(/^ *tls \{[^}]*\}\n/gm, '')
        .replaceAll('/run/nats', join(directory, 'run'))
        .replaceAll('/data', join(directory, 'data')),
    );
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  /**
   * Checks the configuration with nats-server and the variables that the StatefulSet sets. @throws with the server's
   * message
   */
  function check(quoted: string): string {
    const { command, before } = natsProgram();
    return execFileSync(command, [...before(directory), '--config', join(directory, 'nats.conf'), '-t'], {
      env: {
        ...process.env,
        POD_NAME: 'nats-0',
        LINK_GATEWAY_PASSWORD_QUOTED: quoted,
        TOPOLOGY_PASSWORD_QUOTED: quoted,
        VOLCONF_PASSWORD_QUOTED: quoted,
        OPERATOR_PASSWORD_QUOTED: quoted,
      },
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  it.each(['1234', '9e8f', 'secret', 'true'])('is valid with the password %s', (password) => {
    expect(() => check(`"${password}"`)).not.toThrow();
  });

  it('needs the quotes around passwords', () => {
    if (file.startsWith('k8s')) expect(() => check('1234')).toThrow(/not string/);
    else expect(() => check('1234')).not.toThrow();
  });

  it('has a user for each service, and none with all permissions', () => {
    const lines = readFileSync(join(DEPLOY, file), 'utf8').match(/^ {4}\{ user: .*$/gm) ?? [];
    expect(lines.map((line) => /user: "?([a-z.-]+)/.exec(line)?.[1])).toEqual(users);
    for (const line of lines) {
      const block = /user: "?(link-gateway|topology|volconf|operat)/.exec(line)![1]!.replace('operat', 'operator');
      expect(line).toContain(`permissions: $${block.toUpperCase().replace('-', '_')}_MAY }`);
    }
  });
});
