import { isatty } from 'node:tty';
import { formatHostPort } from '@spanmesh/runtime/address';
import { systemClock } from '@spanmesh/runtime/clock';
import { processOutput } from '@spanmesh/runtime/log/process-output';
import { COMMAND } from '@spanmesh/runtime/process/commands';
import { runService } from '@spanmesh/runtime/process/service';
import { VERSION } from '@spanmesh/runtime/version';
import { rehearse } from './rehearsal/rehearsal.ts';
import { createStandalone, type Standalone } from './standalone.ts';

export { settings } from './settings.ts';

const STDOUT = 1;

/** Reads the settings, and all files that are read before the start, and stops again. @throws SettingError */
export async function check(flags: Record<string, string | undefined>): Promise<void> {
  await createStandalone({ env: process.env, flags }).stop();
}

/** `spanmesh run standalone`: until SIGTERM or SIGINT. Flags are keyed as declared, dashes included. */
export async function run(flags: Record<string, string | undefined>): Promise<void> {
  await runService(() => {
    const standalone = createStandalone({ env: process.env, flags });
    return {
      start: async () => {
        const { logger, options } = standalone;
        if (options.rehearsal) await rehearse({ logger, clock: systemClock });
        await standalone.start();
        tellWhere(standalone);
      },
      stop: () => standalone.stop(),
      logger: standalone.logger,
    };
  });
}

/**
 * Tells a person at a terminal the addresses in readable form; otherwise logs one line, as readers of the log expect
 * JSON only.
 */
function tellWhere(standalone: Standalone): void {
  if (isatty(STDOUT)) {
    processOutput.write(banner(standalone));
    return;
  }
  const { dmsgPorts, ports, console, options, logger } = standalone;
  logger.info(
    {
      version: VERSION,
      dmsg: dmsgPorts.map(({ address, port }) => formatHostPort({ host: address, port })),
      grpc: formatHostPort({ host: options.grpcListen.host, port: ports.apiPort }),
      http: formatHostPort({ host: options.httpListen.host, port: ports.httpPort }),
      console: console.url,
    },
    'standalone serves',
  );
}

/** The addresses, and commands to try next, for a person who has just started the process. */
function banner({ dmsgPorts, ports: { apiPort, apiAddress, httpPort }, console, options }: Standalone): string {
  const dmsg = dmsgPorts.map(({ address, port, dialect }) => {
    const where = formatHostPort({ host: address, port });
    return dialect === null ? `${where} (both dialects)` : `${where} (${dialect})`;
  });
  const grpc = formatHostPort({ host: options.grpcListen.host, port: apiPort });
  const http = formatHostPort({ host: options.httpListen.host, port: httpPort });
  const elsewhere = grpc === '127.0.0.1:7987' ? '' : ` --address ${apiAddress}`;
  const ca = options.apiTlsCert === '' ? '' : ' --ca FILE';
  const token = options.apiTokensFile === '' ? '' : ' --token-file FILE';
  const first = dmsgPorts[0];
  const target =
    first === undefined || first.port === 9987
      ? ''
      : ` --connect ${formatHostPort({ host: first.address, port: first.port })}`;
  return [
    `spanmesh ${VERSION}, standalone`,
    ...(console.url === '' ? [] : [`  Console      ${console.url}`]),
    `  DMSG peers   ${dmsg.join(', ')}`,
    `  gRPC API     ${grpc}`,
    `  HTTP         http://${http}/readyz, /livez, /metrics`,
    `Next, in another terminal:`,
    `  ${COMMAND} sim --peers 20 --dialect circuit${target}`,
    `  ${COMMAND} tree${elsewhere}${ca}${token}`,
    '',
  ].join('\n');
}
