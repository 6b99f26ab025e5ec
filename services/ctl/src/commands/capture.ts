import { type Command, Option } from 'commander';
import { addAddressOptions, integer, parseTime, readApiOptions } from '../api-options.ts';
import { labelArgument } from '../output/label.ts';
import type { Terminal } from '../terminal.ts';

/** Most messages, and most bytes of a message, that can be asked for: the API's numbers have 32 bits. */
const MAX_COUNT = 2 ** 32 - 1;

interface CaptureOptions {
  readonly count?: number;
  readonly duration?: number;
  readonly snaplen?: number;
  readonly out?: string;
}

/** `spanmesh capture CONNECTION` */
export function addCapture(program: Command, terminal: Terminal): void {
  const command = program
    .command('capture')
    .description('write what passes on a connection, decrypted, as a pcapng file for Wireshark')
    .argument('<connection>', 'its id, its number, or the label of a LNK_CONN on it', labelArgument)
    .addOption(new Option('--count <n>', 'stop after so many messages').argParser(integer(1, MAX_COUNT)))
    .addOption(new Option('--duration <time>', 'stop after this time, an hour at most').argParser(parseTime))
    .addOption(new Option('--snaplen <bytes>', 'only the first bytes of each message').argParser(integer(1, MAX_COUNT)))
    .option('--out <file>', 'where to write it (default: standard output)');
  addAddressOptions(command).action(
    async (connection: string, { count = 0, duration = 0, snaplen = 0, out }: CaptureOptions) => {
      const [{ captureConnection }, { interruption }] = await Promise.all([
        import('../capture/capture-connection.ts'),
        import('../interruption.ts'),
      ]);
      const query = { connection, count, durationMs: duration, snaplen, out };
      await interruption((signal) =>
        captureConnection({ ...query, signal }, readApiOptions(command, terminal), terminal),
      );
    },
  );
}
