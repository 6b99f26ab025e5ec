import type { Program, Programs } from '../peer/programs.ts';

const BOTH_CAME = /\+ peer01(.|\n)*\+ peer02|\+ peer02(.|\n)*\+ peer01/;
const BOTH_WENT = /- peer01(.|\n)*- peer02|- peer02(.|\n)*- peer01/;

/**
 * An example that keeps a list of nodes and prints `+` and `-` lines sees peers come and go, and goes on over an end of the service.
 * @param start starts it on the API of this address.
 * @throws Error: it ended, or said that something was gone that was not.
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
