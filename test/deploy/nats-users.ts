import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import type { KubeObject } from './kube-object.ts';

/** The users in the manifests, with their passwords in tests. */
export const PASSWORDS: Readonly<Record<string, string>> = {
  'link-gateway': '1g',
  topology: '2t',
  volconf: '3v',
  operator: '4o',
};

/** The files of a NATS server's configuration, by name. */
export type NatsFiles = Readonly<Record<string, string>>;

/** The configuration files of the NATS servers in rendered manifests. */
export function natsFilesOf(objects: readonly KubeObject[]): NatsFiles {
  const found = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('nats-config-'));
  const { data } = (found ?? {}) as { data?: NatsFiles };
  if (data === undefined) throw new Error('there is no ConfigMap of NATS');
  return data;
}

/**
 * Starts a server with a shipped configuration: its users, permissions and TLS are unchanged. Only its addresses and
 * the folders of its data and certificates are replaced, and it runs alone. Its log is `nats.log` in its directory.
 */
export async function startShipped(files: NatsFiles, tls: string): Promise<NatsServerProcess> {
  const server = await NatsServerProcess.stopped(files['nats.conf']!);
  const { directory } = server;
  const certificate = (name: string) => join(tls, name === 'ca' ? 'ca.crt' : `nats.${name}`);
  const conf = files['nats.conf']!.replaceAll(/^cluster \{\n[\s\S]*?^\}\n/gm, '')
    .replaceAll(/^(jetstream) \{\n[\s\S]*?^\}\n/gm, '')
    .replaceAll(/^(listen|http|server_name|pid_file): .*\n/gm, '')
    .replace('/etc/nats-tls/tls.crt', certificate('crt'))
    .replace('/etc/nats-tls/tls.key', certificate('key'))
    .replace('/etc/nats-tls/ca.crt', certificate('ca'));
  writeFileSync(join(directory, 'permissions.conf'), files['permissions.conf']!);
  server.configure(`${conf}log_file: "${join(directory, 'nats.log')}"\n`);
  for (const [user, password] of Object.entries(PASSWORDS)) {
    process.env[`${user.toUpperCase().replace('-', '_')}_PASSWORD_QUOTED`] = `"${password}"`;
  }
  await server.startAgain();
  return server;
}

/** The lines of the server's log about violated permissions. */
export function violations({ directory }: NatsServerProcess): string[] {
  const lines = readFileSync(join(directory, 'nats.log'), 'utf8').split('\n');
  return lines.filter((line) => / Violation/.test(line));
}
