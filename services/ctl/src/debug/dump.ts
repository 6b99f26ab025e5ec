import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Event } from '@spanmesh/proto/v1/events';
import { type InspectResponse, ListProcessesResponse, ProcessInfo } from '@spanmesh/proto/v1/process';
import {
  GetStatusResponse,
  GetTreeRequest,
  GetTreeResponse,
  ListConnectionsResponse,
} from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { Target } from '@spanmesh/proto/v1/volconf';
import { VERSION } from '@spanmesh/runtime/version';
import { EventsApi } from '../api/events-api.ts';
import { ProcessApi } from '../api/process-api.ts';
import { TopologyApi } from '../api/topology-api.ts';
import { VolconfApi } from '../api/volconf-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { protobufJson } from '../output/json.ts';
import { printable } from '../output/printable.ts';
import { note, type Terminal } from '../terminal.ts';
import { count } from '../views/words.ts';
import { type TarFile, tar } from './tar.ts';

const compress = promisify(gzip);
/** Folder of all files in the archive. */
const FOLDER = 'spanmesh-debug';
/** Most characters of a process's id in a file's name. */
export const MAX_ID_CHARS = 60;

/** One part of the archive, and how it is fetched; each part may fail without the others. */
interface Part {
  readonly name: string;
  collect(): Promise<TarFile[]>;
}

/**
 * Writes one archive for the report of a fault: what the API and every process answer about themselves. The archive
 * lists the parts that could not be fetched; it holds no secrets.
 * @throws Failure nothing at all answers; the file cannot be written.
 */
export async function debugDump(
  { out }: { readonly out?: string | undefined },
  options: ApiOptions,
  terminal: Terminal,
): Promise<void> {
  const apis = {
    topology: new TopologyApi(options),
    processes: new ProcessApi(options),
    volconf: new VolconfApi(options),
    events: new EventsApi(options),
  };
  const files: TarFile[] = [];
  const missing: { part: string; why: string }[] = [];
  let first: Failure | null = null;
  try {
    for (const { name, collect } of partsOf(apis)) {
      try {
        files.push(...(await collect()));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        first ??= error;
        missing.push({ part: name, why: error.message });
      }
    }
  } finally {
    for (const api of Object.values(apis)) api.close();
  }
  if (files.length === 0 && first !== null) throw first;
  const now = new Date();
  const about = {
    spanmesh: VERSION,
    node: process.version,
    time: now.toISOString(),
    address: options.address,
    missing,
  };
  const all = [jsonFile('about.json', about), ...files];
  const archive = await compress(tar(all, Math.floor(now.getTime() / 1000)));
  const path = out ?? `${FOLDER}-${now.toISOString().slice(0, 19).replace(/[-:]/g, '')}.tar.gz`;
  await save(path, archive);
  for (const { part, why } of missing) note(terminal, `without ${part}: ${why}`);
  terminal.out.write(`${path}: ${count(all.length, 'file')}, ${archive.length} bytes\n`);
}

/** Saves the archive, readable for its owner only, since it holds addresses and names. */
async function save(path: string, archive: Uint8Array): Promise<void> {
  try {
    await writeFile(path, archive, { mode: 0o600 });
  } catch (error) {
    throw new Failure('usage', `cannot write ${printable(path)}: ${fileTrouble(error)}`, { cause: error });
  }
}

function partsOf(apis: {
  topology: TopologyApi;
  processes: ProcessApi;
  volconf: VolconfApi;
  events: EventsApi;
}): Part[] {
  const { topology, processes, volconf, events } = apis;
  const of = (name: string, collect: () => Promise<TarFile[]>): Part => ({ name, collect });
  return [
    of('the status', async () => [jsonFile('status.json', protobufJson(GetStatusResponse, await topology.status()))]),
    of('the trees', async () => {
      const parts: unknown[] = [];
      const request = GetTreeRequest.fromPartial({ withRelays: true });
      for await (const part of topology.tree(request)) parts.push(protobufJson(GetTreeResponse, part));
      return [
        linesFile(
          'tree.jsonl',
          parts.map((part) => JSON.stringify(part)),
        ),
      ];
    }),
    of('the connections', async () => {
      const { items, revision } = await topology.connections({ dialect: Dialect.DIALECT_UNSPECIFIED, gateway: '' });
      const document = protobufJson(ListConnectionsResponse, { connections: items, revision, nextPageToken: '' });
      return [jsonFile('connections.json', document)];
    }),
    of('the events', async () => [
      linesFile(
        'events.jsonl',
        (await events.events({ kinds: [], since: undefined, subject: '' })).events.map((event) =>
          JSON.stringify(protobufJson(Event, event)),
        ),
      ),
    ]),
    of('the targets', async () => {
      const targets = await volconf.targets({ state: 0, mediaId: '' });
      return [
        jsonFile(
          'targets.json',
          targets.map((target) => protobufJson(Target, target)),
        ),
      ];
    }),
    of('the list of processes', async () => [
      jsonFile('processes.json', protobufJson(ListProcessesResponse, await processes.processes())),
    ]),
    of('what processes know of themselves', async () => {
      const files: TarFile[] = [];
      for await (const report of processes.inspect('')) files.push(...filesOf(report));
      return files;
    }),
  ];
}

/** The folder for the files of a process. It keeps the end of the id, in which the ids of processes differ. */
export function processFolder(id: string): string {
  return `processes/${id.replace(/[^\w.-]/g, '_').slice(-MAX_ID_CHARS)}`;
}

function filesOf({ process: info, settings, metrics, logLines, runtime }: InspectResponse): TarFile[] {
  if (info === undefined) return [];
  const folder = processFolder(info.id);
  return [
    jsonFile(`${folder}/process.json`, { runtime, ...(protobufJson(ProcessInfo, info) as object) }),
    jsonFile(`${folder}/settings.json`, settings),
    linesFile(`${folder}/metrics.txt`, [metrics]),
    linesFile(`${folder}/log.jsonl`, logLines),
  ];
}

function jsonFile(name: string, document: unknown): TarFile {
  return linesFile(name, [JSON.stringify(document, null, 2)]);
}

function linesFile(name: string, lines: readonly string[]): TarFile {
  return { name: `${FOLDER}/${name}`, data: Buffer.from(lines.map((line) => `${line}\n`).join('')) };
}
