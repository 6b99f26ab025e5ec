import type { Program, Programs } from '../peer/programs.ts';

const BOTH_CAME = /\+ peer01(.|\n)*\+ peer02|\+ peer02(.|\n)*\+ peer01/;
const BOTH_WENT = /- peer01(.|\n)*- peer02|- peer02(.|\n)*- peer01/;

/**
 * Checks an example that keeps a list of nodes and prints `+` and `-` lines: it must see peers appear and go, and
 * continue after a restart of the service.
 * @param start starts the example with the API at this address.
 * @throws Error: the example ended, or reported as gone a node that was not.
 */
export async function followsNodes(programs: Programs, start: (grpc: string) => Program): Promise<void> {
  const first = await programs.standalone();
  const watch = start(first.grpc);
  const sim = await programs.twoPeers(first.dmsg);
  await watch.prints(BOTH_CAME);
  await sim.end('SIGTERM');
  await watch.prints(BOTH_WENT);
  await first.program.end('SIGKILL');
  await watch.prints(/UNAVAILABLE/);
  watch.output = '';
  const second = await programs.standalone(first.grpc);
  await programs.twoPeers(second.dmsg);
  await watch.prints(BOTH_CAME);
  if (/- peer/.test(watch.output)) throw new Error(`says that something has gone: ${watch.output}`);
}
