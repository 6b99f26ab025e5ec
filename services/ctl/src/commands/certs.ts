import { isIP } from 'node:net';
import { isGatewayPattern } from '@spanmesh/runtime/tls/gateway-certificate';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { integer } from '../api-options.ts';
import { exitsWith1 } from '../exit-codes.ts';
import { addLocalListOptions, readTableOptions } from '../list-options.ts';
import type { Terminal } from '../terminal.ts';

/** Longest validity of certificates, days: when they are changed less often, people forget how. */
const MAX_DAYS = 825;
const HOST_NAME = /^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

interface InitOptions {
  readonly days: number;
  readonly host: readonly string[];
  readonly nats: readonly string[];
  readonly gateway: readonly string[];
  readonly authority?: string;
}

/** `spanmesh certs init|check` */
export function addCerts(program: Command, terminal: Terminal): void {
  const certs = program.command('certs').description('certificates of services, and of users of the API');
  certs
    .command('init')
    .description(
      'make a CA and the certificates of all services; keys are for their owner only, and nothing is overwritten',
    )
    .argument('<directory>', 'where to; it is made')
    .addOption(
      new Option('--days <n>', `how long they are good for, at most ${MAX_DAYS}`)
        .default(365)
        .argParser(integer(1, MAX_DAYS)),
    )
    .addOption(
      new Option('--host <name>', 'where programs reach the API: a name or an address; may be given several times')
        .default([], 'only localhost')
        .argParser((text: string, hosts: readonly string[]) => [...hosts, parseHost(text)]),
    )
    .addOption(
      new Option('--nats <name>', 'a name or an address of a NATS server: makes nats.crt for those; several times')
        .default([], 'none is made')
        .argParser((text: string, hosts: readonly string[]) => [...hosts, parseHost(text)]),
    )
    .addOption(
      new Option(
        '--gateway <name>',
        'name of a gateway: makes link-gateway-NAME.crt; or a beginning of names like gw-*, into link-gateway.crt; several times',
      )
        .default([], 'gateway')
        .argParser((text: string, names: readonly string[]) => [...names, parseGateway(text)]),
    )
    .option('--authority <directory>', 'sign with the CA of this directory instead of a new one: renew')
    .action(
      async (directory: string, { days, host: hosts, nats: natsHosts, gateway: gateways, authority }: InitOptions) => {
        const { initCertificates } = await import('../certs/init.ts');
        await initCertificates(
          { directory, days, hosts, natsHosts, gateways, ...(authority !== undefined && { authority }) },
          terminal,
        );
      },
    );
  const check = certs
    .command('check')
    .description('say when the certificates of a directory end, for whom they are, and what is wrong with them')
    .argument('<directory>', 'with *.crt and *.key');
  exitsWith1(check, 'something is wrong with one of them, or less than 30 days are left');
  addLocalListOptions(check).action(async (directory: string) => {
    const { checkCertificates } = await import('../certs/check.ts');
    await checkCertificates(directory, readTableOptions(check), terminal);
  });
}

function parseGateway(text: string): string {
  if (isGatewayPattern(text)) return text;
  throw new InvalidArgumentError('Expected a name of a-z, 0-9 and -, or the beginning of names with a * behind it.');
}

function parseHost(text: string): string {
  if (isIP(text) === 0 && !HOST_NAME.test(text)) throw new InvalidArgumentError('Expected a host name or an address.');
  return text;
}
