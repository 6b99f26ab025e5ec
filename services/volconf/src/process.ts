import { systemClock } from '@spanmesh/runtime/clock';
import { InProcessBus } from '@spanmesh/runtime/in-process-bus';
import { createLogger, type Logger } from '@spanmesh/runtime/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { ProcessPorts } from '@spanmesh/runtime/process-ports';
import { processSettings } from '@spanmesh/runtime/process-settings';
import { systemRandom } from '@spanmesh/runtime/random';
import type { Service } from '@spanmesh/runtime/service';
import { LINK_GATEWAY_NAME, VOLCONF_NAME } from '@spanmesh/runtime/service-names';
import { readSettings, type SettingSources, type SettingValues, setting } from '@spanmesh/runtime/setting';
import { text } from '@spanmesh/runtime/setting-types';
import { settings as volconfSettings } from './settings.ts';
import { createVolconf, type Volconf } from './volconf.ts';

/** Everything that `spanmesh run volconf` can be told. */
export const settings = {
  ...processSettings({ grpc: '127.0.0.1:7985', service: '127.0.0.1:7984', http: '127.0.0.1:8985' }),
  ...volconfSettings,
  apiAddress: setting({
    env: 'SPANMESH_VOLCONF_ADDRESS',
    flag: '--volconf-address',
    default: '',
    describe: 'host:port under which users of the API reach this replica; empty: where it listens.',
    parse: text({ max: 300 }),
  }),
};

type Options = SettingValues<typeof settings>;

/** A replica of volconf in a process of its own. */
export class VolconfProcess implements Service {
  readonly volconf: Volconf;
  readonly ports: ProcessPorts;

  readonly #bus: InProcessBus;

  constructor(options: Options, logger: Logger) {
    const metrics = new Metrics({ processMetrics: true });
    const bus = new InProcessBus({
      onError: (err, where) => logger.error({ err, where }, 'a subscriber of the bus failed; the others go on'),
    });
    this.#bus = bus;
    this.ports = new ProcessPorts(options, {
      ready: () => this.volconf.notReady(),
      metrics,
      logger,
      names: [VOLCONF_NAME],
    });
    const security = this.ports.security.channel(LINK_GATEWAY_NAME);
    this.volconf = createVolconf(
      { settings: options, address: () => options.apiAddress || this.ports.apiAddress },
      { bus, clock: systemClock, logger, metrics, random: systemRandom, grpcServer: this.ports.api, security },
    );
  }

  async start(): Promise<void> {
    try {
      await this.ports.start();
      await this.volconf.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.volconf.stop();
    await this.ports.stop();
    await this.#bus.close();
  }
}

/** A volconf process's work, by its settings. @throws SettingError */
export function createVolconfProcess(from: SettingSources): VolconfProcess {
  const options = readSettings(settings, from);
  return new VolconfProcess(options, createLogger({ level: options.logLevel, service: 'volconf' }));
}
