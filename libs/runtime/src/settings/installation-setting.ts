import { type SettingValues, setting } from './setting.ts';
import { text } from './setting-types.ts';

/**
 * Longest name of an installation, characters. With a bucket's name it makes the name of a NATS stream, which NATS uses
 * as the name of a directory.
 */
const MAX_CHARS = 40;
const NAME = /^[a-z0-9-]+$/;

/**
 * Which installation a process belongs to. Processes with the same name form one installation; installations with
 * different names share nothing.
 */
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
