import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsProgram } from '@spanmesh/runtime/bus/nats/nats-program.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CONFIG = join(import.meta.dirname, '../../deploy/k8s/components/nats-cluster/nats.conf');

describe('the configuration of the NATS servers', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-nats-conf-'));
    mkdirSync(join(directory, 'run'));
    writeFileSync(
      join(directory, 'nats.conf'),
      // Certificates are test/processes' business: what is looked at here is everything else.
      readFileSync(CONFIG, 'utf8')
        .replaceAll(/^ *tls \{[^}]*\}\n/gm, '')
        .replaceAll('/run/nats', join(directory, 'run'))
        .replaceAll('/data', join(directory, 'data')),
    );
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  /** What nats-server says of it, with what the StatefulSet sets. @throws with the server's words */
  function check(quoted: string): string {
    const { command, before } = natsProgram();
    return execFileSync(command, [...before(directory), '--config', join(directory, 'nats.conf'), '-t'], {
      env: { ...process.env, POD_NAME: 'nats-0', NATS_PASSWORD_QUOTED: quoted },
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  it.each(['1234', '9e8f', 'secret', 'true'])('is understood, with the password %s', (password) => {
    expect(() => check(`"${password}"`)).not.toThrow();
  });

  it('needs the quotes', () => {
    expect(() => check('1234')).toThrow(/not string/);
  });
});
