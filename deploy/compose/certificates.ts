// Makes the certificates by which the services of docker-compose.yml know each other, once: they are there for two years and are made
// anew when they have come to their last month. A service takes new ones over while it runs.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

const DIRECTORY = '/var/lib/spanmesh/tls';
const DAYS = '825';

function certs(...args: string[]): { isGood: boolean; printed: string } {
  const { status, stdout, stderr } = spawnSync('spanmesh', ['certs', ...args], { encoding: 'utf8' });
  return { isGood: status === 0, printed: `${stdout}${stderr}` };
}

if (certs('check', DIRECTORY).isGood) {
  console.log('the certificates are good');
} else {
  rmSync(DIRECTORY, { recursive: true, force: true });
  const { isGood, printed } = certs('init', DIRECTORY, '--days', DAYS);
  if (!isGood) {
    console.error(printed);
    process.exit(1);
  }
  // Nothing is signed with it any more: the next ones get a CA of their own.
  rmSync(`${DIRECTORY}/ca.key`);
  console.log('certificates made');
}
