import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The path of the dissector under test. */
const DISSECTOR = fileURLToPath(new URL('../../tools/wireshark/dmsg.lua', import.meta.url));
/** Separates the fields of a packet; no text of the recordings contains it. */
const SEPARATOR = '\x1f';
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface TsharkOptions {
  /** Names of the wanted fields; several values of one field are joined with `|`. */
  readonly fields: readonly string[];
  /** Preferences as `name:value`. */
  readonly preferences?: readonly string[];
}

/**
 * The fields of each packet of a capture file, decoded by tshark with the dissector.
 * @throws tshark is not installed, or cannot read the file
 */
export async function tshark(
  pcapng: Uint8Array,
  { fields, preferences = [] }: TsharkOptions,
): Promise<Map<string, string>[]> {
  const directory = await mkdtemp(join(tmpdir(), 'spanmesh-wireshark-'));
  try {
    const file = join(directory, 'capture.pcapng');
    await writeFile(file, pcapng);
    const { stdout } = await run(
      'tshark',
      [
        ...['-n', '-2', '-r', file, '-X', `lua_script:${DISSECTOR}`, '-T', 'fields'],
        ...['-E', `separator=${SEPARATOR}`, '-E', 'occurrence=a', '-E', 'aggregator=|'],
        ...fields.flatMap((field) => ['-e', field]),
        ...preferences.flatMap((preference) => ['-o', preference]),
      ],
      // Preferences of the present user are not read.
      { maxBuffer: MAX_OUTPUT_BYTES, env: { ...process.env, HOME: directory, XDG_CONFIG_HOME: directory } },
    );
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const values = line.split(SEPARATOR);
        return new Map(fields.map((field, i) => [field, values[i] ?? '']));
      });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('tshark is missing: apt-get install tshark (docs/captures.md)', { cause: error });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
