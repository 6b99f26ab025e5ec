import type { Setting } from '@spanmesh/runtime/settings/setting';

/** The flags of each call of `run`. */
export const calls: Record<string, string | undefined>[] = [];

export const settings: Readonly<Record<string, Setting<unknown>>> = {
  listen: {
    env: 'SPANMESH_DMSG_LISTEN',
    flag: '--dmsg-listen',
    default: '127.0.0.1:9987',
    describe: 'where peers connect',
    parse: (text) => text,
  },
  level: {
    env: 'SPANMESH_LOG_LEVEL',
    flag: '--log-level',
    default: 'info',
    describe: 'what is logged',
    parse: (text) => text,
  },
};

export async function run(flags: Record<string, string | undefined>): Promise<void> {
  calls.push(flags);
}

export async function check(flags: Record<string, string | undefined>): Promise<void> {
  if (flags['--log-level'] === 'nonsense') throw Object.assign(new Error('--log-level: no'), { name: 'SettingError' });
}
