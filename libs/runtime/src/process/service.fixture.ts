/**
 * A service for service.test.ts, run as a child process: its first argument chooses its behaviour, a second one that it
 * has no logger.
 */
import { once } from 'node:events';
import { createLogger } from '../log/logger.ts';
import { SettingError } from '../settings/setting.ts';
import { runService, type Service } from './service.ts';

const say = (word: string): void => {
  process.stdout.write(`${word}\n`);
};
const never = new Promise<void>(() => {});

const services: Record<string, () => Promise<Service> | Service> = {
  'make-waits': async () => {
    const stopped = once(process, 'SIGTERM');
    say('making');
    await stopped;
    return { start: async () => say('started'), stop: async () => say('stopped') };
  },
  prints: () => ({
    logger: createLogger({ level: 'info', service: 'fixture' }),
    start: async () => {
      console.log('printed by a library');
      say('started');
    },
    stop: async () => {},
  }),
  drains: () => ({
    start: async () => say('started'),
    stop: async () => {
      say('stopping');
      await new Promise<void>((resolve) => setImmediate(resolve));
      say('stopped');
    },
  }),
  hangs: () => ({
    start: async () => say('started'),
    stop: () => {
      say('stopping');
      return never;
    },
  }),
  hurries: () => {
    const hurried = Promise.withResolvers<void>();
    return {
      start: async () => say('started'),
      stop: () => {
        say('stopping');
        return hurried.promise;
      },
      hurry: () => {
        say('hurried');
        hurried.resolve();
      },
    };
  },
  'hangs-hurried': () => ({
    start: async () => say('started'),
    stop: () => {
      say('stopping');
      return never;
    },
    hurry: () => say('hurried'),
  }),
  'stop-fails': () => ({
    start: async () => say('started'),
    stop: async () => {
      throw new Error('cannot stop');
    },
  }),
  'start-hangs': () => ({
    start: () => {
      say('starting');
      return never;
    },
    stop: async () => say('stopped'),
  }),
  setting: () => ({
    start: async () => {
      throw new SettingError('SPANMESH_DMSG_LISTEN', 'cannot listen on\n127.0.0.1:987: EACCES');
    },
    stop: async () => {},
  }),
  'make-fails': () => {
    throw new SettingError('--x', 'bad');
  },
  'start-fails': () => ({
    start: async () => {
      throw new Error('start trouble');
    },
    stop: async () => {},
  }),
  'throws-later': () => ({
    start: async () => {
      setImmediate(() => {
        throw new Error('later trouble');
      });
    },
    stop: async () => {},
  }),
  'rejects-later': () => ({
    start: async () => {
      setImmediate(() => void Promise.reject(new Error('lost trouble')));
    },
    stop: async () => {},
  }),
};

const [, , what = '', isSilent] = process.argv;
const make = services[what]!;
await runService(make, isSilent ? {} : { logger: createLogger({ level: 'info', service: 'fixture' }) });
