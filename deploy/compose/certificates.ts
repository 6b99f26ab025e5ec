// Makes what the containers of docker-compose.yml know each other by, once, each pair into the volume of the container that is to have it,
// and the key pair by which peers know the installation. Certificates are there for two years and are made anew when they have come to
// their last month. A service takes new ones over while it runs; NATS must be restarted.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A volume for each container that has a pair: its name → that of the pair. Replicas of the gateway share one: `--scale` makes no volumes. */
const PAIRS = {
  nats: 'nats',
  'topology-a': 'topology',
  'topology-b': 'topology',
  gateway: 'link-gateway',
  volconf: 'volconf',
};
const VOLUMES = '/volumes';
/** In memory: the CA's key and what belongs to others is gone with this container. */
const SCRATCH = '/tmp/tls';
const DAYS = '825';
/** Of the services (deploy/docker/Dockerfile), and of NATS, which runs as root without the right to read what is another's. */
const OWNER = 1000;
const NATS_OWNER = 0;

function spanmesh(...args: string[]): { isGood: boolean; printed: string } {
  const { status, stdout, stderr } = spawnSync('spanmesh', args, { encoding: 'utf8' });
  return { isGood: status === 0, printed: `${stdout}${stderr}` };
}

function mustDo(...args: string[]): void {
  const { isGood, printed } = spanmesh(...args);
  if (isGood) return;
  console.error(printed);
  process.exit(1);
}

/** Whole or not at all, and for its owner only. */
function give(from: string, to: string, owner = OWNER): void {
  copyFileSync(from, `${to}.new`);
  chmodSync(`${to}.new`, 0o600);
  chownSync(`${to}.new`, owner, owner);
  renameSync(`${to}.new`, to);
}

if (Object.keys(PAIRS).every((volume) => spanmesh('certs', 'check', join(VOLUMES, volume)).isGood)) {
  console.log('the certificates are good');
} else {
  const ca = join(SCRATCH, 'ca');
  mustDo('certs', 'init', ca);
  for (const [volume, pair] of Object.entries(PAIRS)) {
    const made = join(SCRATCH, volume);
    const owner = pair === 'nats' ? NATS_OWNER : OWNER;
    // Gateways go by the names of their containers, which nobody knows beforehand.
    mustDo('certs', 'init', made, '--days', DAYS, '--gateway', '*', '--nats', 'nats', '--authority', ca);
    for (const ending of ['crt', 'key']) {
      give(join(made, `${pair}.${ending}`), join(VOLUMES, volume, `tls.${ending}`), owner);
    }
    give(join(made, 'ca.crt'), join(VOLUMES, volume, 'ca.crt'), owner);
  }
  rmSync(SCRATCH, { recursive: true });
  console.log('certificates made; a NATS that runs already must be restarted: docker compose restart nats');
}

const keys = join(VOLUMES, 'keys');
if (!existsSync(join(keys, 'rsa.prv'))) {
  mustDo('keys', 'init', '/tmp/keys');
  for (const file of ['rsa.pub', 'rsa.prv']) give(join('/tmp/keys', file), join(keys, file));
  console.log('a key pair for peers made; give rsa.pub to them');
}
