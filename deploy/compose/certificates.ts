// Makes the certificates by which the containers of docker-compose.yml identify each other, once, each pair in the
// volume of its container, and the key pair by which peers know the installation. Certificates are valid for two years,
// and are made anew in their last month. A service uses new ones while it runs; NATS must be restarted.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A volume for each container that has a pair: its name → that of the pair. Replicas of the gateway share one:
 * `--scale` makes no volumes.
 */
const PAIRS = {
  nats: 'nats',
  'topology-a': 'topology',
  'topology-b': 'topology',
  gateway: 'link-gateway',
  volconf: 'volconf',
};
const VOLUMES = '/volumes';
/** In memory: the CA's key, and the pairs of other containers, are gone with this container. */
const SCRATCH = '/tmp/tls';
const DAYS = '825';
/**
 * User ids: of the services (deploy/docker/Dockerfile), and of NATS, which runs as root without the right to read files
 * of others.
 */
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

/** Writes a file whole or not at all, readable for its owner only. */
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
    // A gateway's name is that of its container, which is not known beforehand.
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
