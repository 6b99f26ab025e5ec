import { addressBytes, addressText } from '@spanmesh/dmsg-socket/address/numeric-address';
import { KeysError } from '@spanmesh/dmsg-socket/keys/keys-error';
import type { PeerAccess } from '@spanmesh/dmsg-socket/keys/peer-rules';
import { readRules } from '@spanmesh/dmsg-socket/keys/read-rules';
import type { Decided } from '@spanmesh/dmsg-socket/keys/withdrawn-keys';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { fingerprint } from './fingerprint.ts';

/**
 * Prints how a keys directory admits a peer at this address, by the rules of the gateway itself, and what is wrong with
 * any of the files.
 * @throws Failure usage: not a numeric address; refused: the directory cannot be read.
 */
export async function checkKeys(address: string, directory: string, terminal: Terminal): Promise<void> {
  const bytes = addressBytes(address);
  if (bytes === null)
    throw new Failure('usage', `${printable(address)} is not a numeric address; keys go by addresses`);
  const { rules, problems } = await readFiles(directory);
  const canonical = addressText(bytes);
  const lines = [`${canonical}: ${describe(rules.of(canonical))}`];
  for (const { file, problem } of problems) lines.push(`problem: ${printable(file)} ${printable(problem)}`);
  await write(terminal.out, `${lines.join('\n')}\n`);
}

/** @throws Failure refused: the directory cannot be read. */
export async function readFiles(directory: string): Promise<Decided> {
  try {
    return await readRules(directory);
  } catch (error) {
    if (!(error instanceof KeysError)) throw error;
    throw new Failure('refused', `${printable(directory)}: ${error.message}`, { cause: error });
  }
}

function describe(access: PeerAccess): string {
  if (access.kind === 'plaintext') return `plaintext, by ${printable(access.file)}`;
  if (access.kind === 'refused') {
    const by = access.file === null ? '' : `, by ${printable(access.file)}`;
    return `refused${by}: ${printable(access.why)}`;
  }
  const stream = access.tagged ? 'encrypted' : 'encrypted without integrity (.untagged)';
  const bound = access.bound ? ', must name this host in its handshakes (.bound)' : '';
  return [
    `${stream}${bound}, by ${printable(access.file)}`,
    `  key of the peer  ${fingerprint(access.peer)}`,
    `  key of this host ${fingerprint(access.own)}`,
  ].join('\n');
}
