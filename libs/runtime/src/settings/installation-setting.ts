import { type SettingValues, setting } from './setting.ts';
import { text } from './setting-types.ts';

/** Longest name of an installation, characters: with a bucket's it is the name of a stream, of which NATS makes directories. */
const MAX_CHARS = 40;
const NAME = /^[a-z0-9-]+$/;

/** Which installation a process belongs to. Those of one name are one, those of two have nothing to do with each other. */
export const installationSetting = {
  installation: setting({
    env: 'SPANMESH_INSTALLATION',
    flag: '--installation',
    default: 'spanmesh',
    describe:
      'Name of the installation, the same for all its processes: a-z, 0-9 and -, at most 40. Everything that it has on NATS begins with it, and what relays add to rnss is derived from it.',
    parse: text({ min: 1, max: MAX_CHARS, pattern: NAME, says: 'must be made of a-z, 0-9 and -' }),
  }),
};

/** What `readSettings(installationSetting, …)` returns. */
export type InstallationOptions = SettingValues<typeof installationSetting>;
