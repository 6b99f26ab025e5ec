import { consoleToLog } from '../log/console-to-log.ts';
import type { Logger } from '../log/logger.ts';
import { processErrors } from '../log/process-output.ts';
import { SettingError } from '../settings/setting.ts';
import { widenInlining } from './inlining.ts';
import { notifyReady } from './service-manager.ts';

/** The whole work of a process. */
export interface Service {
  /**
   * Resolves once the service serves; rejects with SettingError and others, after closing everything that it opened.
   */
  start(): Promise<void>;
  /** Drains: resolves when everything is closed. It has deadlines of its own. */
  stop(): Promise<void>;
  /** Called when a second signal comes during `stop`. A service without this method is then not waited for. */
  hurry?(): void;
  /** Its logger, which also gets what libraries print. Without a logger that is printed unchanged. */
  readonly logger?: Logger;
}

/** Exit codes of a service. */
const EXIT_DRAINED = 0;
const EXIT_FAILED = 1;
const EXIT_SETTING = 2;
/** How long a signal during the start waits for the start to end, ms; a start may be waiting for a bus that is away. */
const START_GRACE_MS = 2000;

/**
 * Runs a service until a signal ends it. The first SIGTERM or SIGINT drains and exits with 0, a second one hurries the
 * drain (or exits with 1 at once, if the service has no `hurry`), a third exits with 1 at once. A SettingError is
 * printed as one line on stderr, with exit code 2. An unhandled error is logged as fatal, with exit code 1.
 */
export async function runService(
  make: () => Promise<Service> | Service,
  { logger, exit = (code) => process.exit(code) }: { logger?: Logger; exit?: (code: number) => void } = {},
): Promise<void> {
  widenInlining();
  // Timers are unref'd: without this one, a process that only waits (for its bus, for a drain) would end silently.
  const alive = setInterval(() => {}, 2 ** 30);
  let service: Service | undefined;
  let started: Promise<void> | undefined;
  let stopping = false;
  let hurried = false;
  let ended = false;

  const end = (code: number): void => {
    if (!ended) {
      ended = true;
      clearInterval(alive);
      exit(code);
    }
  };
  const fail = (error: unknown): void => {
    if (ended) {
      return;
    }
    if (error instanceof SettingError) {
      processErrors.write(`${error.message}\n`);
      end(EXIT_SETTING);
      return;
    }
    if (logger !== undefined) {
      logger.fatal({ err: error }, 'fatal');
    } else {
      processErrors.write(`fatal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    }
    end(EXIT_FAILED);
  };
  const drain = async (): Promise<void> => {
    // A service need not be able to stop half-way through its start. If it has not started there is nothing to drain.
    const grace = new Promise<'starting'>((resolve) => setTimeout(resolve, START_GRACE_MS, 'starting'));
    if ((await Promise.race([started, grace])) !== 'starting') {
      await service?.stop();
    }
    end(EXIT_DRAINED);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) {
      if (service?.hurry !== undefined && !hurried) {
        hurried = true;
        logger?.warn({ signal }, 'second signal: draining in a hurry; a third one ends it');
        service.hurry();
        return;
      }
      logger?.warn({ signal }, 'another signal: exiting without draining');
      end(EXIT_FAILED);
      return;
    }
    stopping = true;
    logger?.info({ signal }, 'draining');
    // While it is being made or started, the code below drains or reports.
    if (started !== undefined) {
      drain().catch(fail);
    }
  };
  // A command ends when nobody reads its output; a service goes on.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => {});
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  try {
    service = await make();
    if (service.logger !== undefined) consoleToLog(service.logger);
    if (stopping) {
      end(EXIT_DRAINED);
      return;
    }
    started = service.start();
    await started;
    await notifyReady();
  } catch (error) {
    fail(error);
  }
}
