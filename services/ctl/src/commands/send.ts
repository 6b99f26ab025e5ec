import { type Command, InvalidArgumentError, Option } from 'commander';
import { addApiOptions, readApiOptions } from '../api-options.ts';
import { exitsWith1 } from '../exit-codes.ts';
import { addFilters, type FilterOptions } from '../filter-options.ts';
import { labelArgument } from '../output/label.ts';
import type { SendQuery } from '../route/send.ts';
import type { Terminal } from '../terminal.ts';

type Typed = Pick<SendQuery, 'command' | 'payload' | 'aux' | 'oneWay' | 'expectStream' | 'out'>;

/** `spanmesh send NODE --command WORD` */
export function addSend(program: Command, terminal: Terminal): void {
  const command = program
    .command('send')
    .description('send a DMSG message to a node over its span, and print the answer')
    .argument('<node>', 'id of a node, the beginning of it, or its label', labelArgument)
    .addOption(
      new Option(
        '--command <word>',
        'command word without flags; its low 8 bits are the size of the header in units of 64 bytes: 0x00500302 is BLK_READ',
      )
        .argParser(parseWord)
        .makeOptionMandatory(),
    )
    .option('--payload <hex|@file>', 'the header after its first 64 bytes; zeros are added')
    .option('--aux <text|@file|->', 'aux data; -: standard input')
    .option(
      '--one-way',
      'no transaction, and nothing is waited for; with --expect-stream print answers until none has come for --timeout',
      false,
    )
    .option('--expect-stream', 'more answers than one: print all until the node ends the transaction', false)
    .option('--out <file>', "write the answers' aux data there, instead of printing it in hexadecimal");
  exitsWith1(command, 'no answer within --timeout, the route went, or the last answer was an error');
  addApiOptions(addFilters(command, 'dialect', 'cluster'));
  command.action(async (node: string, typed: Typed & FilterOptions) => {
    const [{ sendMessage }, { nodeSelector }] = await Promise.all([
      import('../route/send.ts'),
      import('../route/node-selector.ts'),
    ]);
    const options = readApiOptions(command, terminal);
    await sendMessage({ ...typed, ...options, node: await nodeSelector(node, typed, options) }, terminal);
  });
}

function parseWord(text: string): number {
  const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffffffff)) throw new InvalidArgumentError('Expected a command word like 0x00500302.');
  return value;
}
