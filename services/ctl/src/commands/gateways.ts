import { type Command, InvalidArgumentError } from 'commander';
import { addApiOptions, parseTime, readApiOptions } from '../api-options.ts';
import { addListOptions, readListOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** `spanmesh gateways list|drain` */
export function addGateways(program: Command, terminal: Terminal): void {
  const gateways = program
    .command('gateways')
    .description('link-gateways: which there are, and moving peers between them');
  addList(gateways, terminal);
  addDrain(gateways, terminal);
}

function addList(gateways: Command, terminal: Terminal): void {
  const command = gateways.command('list').description('list gateways');
  addListOptions(command).action(async () => {
    const { listGateways } = await import('../gateways/list-gateways.ts');
    await listGateways(readListOptions(command, terminal), terminal);
  });
}

interface DrainOptions {
  readonly share: number;
  readonly deadline?: number;
  readonly wait: boolean;
}

function addDrain(gateways: Command, terminal: Terminal): void {
  const command = gateways
    .command('drain')
    .description('close a share of the connections that peers have made to a gateway, in order: they connect anew')
    .argument('<gateway>', 'its name, or its id')
    .requiredOption('--share <share>', 'how many of them: 25% or 0.25, at most 100%', parseShare)
    .option(
      '--deadline <time>',
      "how long open transactions, and then peers, may take to end, at most 24h (default: the gateway's SPANMESH_STOP_TIMEOUT)",
      parseTime,
    )
    .option('--no-wait', 'return once the gateway has said how many there are, instead of following it to its end');
  addApiOptions(command).action(async (gateway: string, { share, deadline = 0, wait }: DrainOptions) => {
    const { drainGateway } = await import('../gateways/drain-gateway.ts');
    const query = { gateway, share, deadlineMs: Math.ceil(deadline), wait };
    await drainGateway(query, readApiOptions(command, terminal), terminal);
  });
}

/** A share as a number above 0 and at most 1. */
export function parseShare(text: string): number {
  const match = /^(\d{1,3}(?:\.\d+)?)(%?)$/.exec(text);
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (!(share > 0 && share <= 1)) throw new InvalidArgumentError('Expected a share like 25% or 0.25, at most 100%.');
  return share;
}
