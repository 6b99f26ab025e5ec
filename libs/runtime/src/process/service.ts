import { consoleToLog } from '../log/console-to-log.ts';
import type { Logger } from '../log/logger.ts';
import { processErrors } from '../log/process-output.ts';
import { SettingError } from '../settings/setting.ts';
import { notifyReady } from './service-manager.ts';

/** A process's whole work. */
export interface Service {
  /** Resolves when it serves; rejects with SettingError and others, having let go of everything it took. */
  start(): Promise<void>;
  /** Drains: resolves when everything is closed. Has its own deadlines. */
  stop(): Promise<void>;
  /** Called while it stops, when a second signal comes. A service without this one is not waited for then. */
  hurry?(): void;
  /** Its logger, which gets what libraries print, too. Without one that is printed as it is. */
  readonly logger?: Logger;
}

/** Exit codes of a service. */
const EXIT_DRAINED = 0;
const EXIT_FAILED = 1;
const EXIT_SETTING = 2;
/** How long a signal that comes while the service starts waits for that, ms; a start may be waiting for a bus that is away. */
const START_GRACE_MS = 2000;

/**
 * Runs a service until it is told to stop. The first SIGTERM or SIGINT drains and exits with 0, a second one hurries the drain (or
 * exits with 1 at once, if the service knows no hurry), a third exits with 1 at once. SettingError is one line on stderr and exit 2. Anything unhandled is logged as fatal and exits with 1.
 */
export async function runService(
  make: () => Promise<Service> | Service,
  { logger, exit = (code) => process.exit(code) }: { logger?: Logger; exit?: (code: number) => void } = {},
): Promise<void> {
  // Timers are unref'd: without this a process that only waits (for its bus, for a drain) would end silently.
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
    // A service need not know how to stop half-way through its start. One that has not started has nothing to drain.
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
    // While it is being made or started, the main flow below drains or reports.
    if (started !== undefined) {
      drain().catch(fail);
    }
  };
  // A command ends when nobody reads its output. A service goes on.
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
