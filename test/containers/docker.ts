import { execFile } from 'node:child_process';

/** The most output of a `docker` command that is kept, bytes. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** Runs the `docker` command. Resolves with its output, both streams; rejects with its error output. */
export function docker(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('docker', args, { maxBuffer: MAX_OUTPUT }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`docker ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
  });
}

/** A container as the tests need it. */
export interface Container {
  readonly id: string;
  readonly name: string;
  /** Its service's name in docker-compose.yml. */
  readonly service: string;
  readonly isRunning: boolean;
  readonly exitCode: number;
  /** The status of its health check; null: it has none. */
  readonly health: string | null;
  /** Its address in the network of the system; empty while it is disconnected. */
  readonly address: string;
  readonly aliases: readonly string[];
  readonly user: string;
  readonly isReadOnly: boolean;
  readonly capabilitiesDropped: readonly string[];
}

/** The parts of `docker inspect` that are used. */
interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Running: boolean;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string };
  };
  readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> };
  readonly HostConfig: { readonly ReadonlyRootfs: boolean; readonly CapDrop: readonly string[] | null };
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string; readonly Aliases: string[] | null }>>;
  };
}

/** The containers of a Compose project, including stopped ones; of one service, if it is named. */
export async function containersOf(project: string, service?: string): Promise<Container[]> {
  const filters = [`com.docker.compose.project=${project}`];
  if (service !== undefined) filters.push(`com.docker.compose.service=${service}`);
  const ids = await docker('ps', '-aq', '--no-trunc', ...filters.flatMap((label) => ['--filter', `label=${label}`]));
  const listed = ids.split('\n').filter((id) => id !== '');
  if (listed.length === 0) return [];
  const inspected = JSON.parse(await docker('inspect', ...listed)) as Inspected[];
  return inspected.map(read).toSorted((a, b) => a.name.localeCompare(b.name));
}

function read({ Id, Name, State, Config, HostConfig, NetworkSettings }: Inspected): Container {
  const network = Object.values(NetworkSettings.Networks)[0];
  return {
    id: Id,
    name: Name.slice(1),
    service: Config.Labels['com.docker.compose.service'] ?? '',
    isRunning: State.Running,
    exitCode: State.ExitCode,
    health: State.Health?.Status ?? null,
    address: network?.IPAddress ?? '',
    aliases: network?.Aliases ?? [],
    user: Config.User,
    isReadOnly: HostConfig.ReadonlyRootfs,
    capabilitiesDropped: HostConfig.CapDrop ?? [],
  };
}
