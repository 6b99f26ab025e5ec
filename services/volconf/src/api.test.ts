import { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { afterEach, describe, expect, it } from 'vitest';
import { Api, type ApiDeps } from './api.ts';
import { MAX_WATCHES, MAX_WATCHES_PER_USER } from './limits.ts';
import { Target } from './reconciler/target.ts';
import { OperatorTargetError, type OperatorTargets } from './targets/operator-targets.ts';
import type { Term } from './term.ts';
import { copyOf, MEDIA, World } from './testing/world.fixture.ts';

/** An API with the given dependencies; by default nothing has started and no replica leads. */
function rig(deps: Partial<ApiDeps> = {}) {
  const log: { msg: string }[] = [];
  const api = new Api(
    { defaultPort: 987 },
    {
      clock: new FakeClock(),
      logger: createLogger({
        level: 'info',
        service: 'test',
        destination: { write: (line: string) => void log.push(JSON.parse(line)) },
      }),
      term: () => null,
      notLeading: () => 'nobody leads',
      operators: () => null,
      ...deps,
    },
  );
  return { api, log };
}

type Method = 'listTargets' | 'getTarget' | 'setTarget' | 'removeTarget';

/** A call without a server. */
function call(api: Api, method: Method, request: object): Promise<object> {
  const run = api.implementation[method] as unknown as (
    call: object,
    callback: (error: Error | null, answer: object) => void,
  ) => void;
  return new Promise((resolve, reject) => {
    run({ request, metadata: new Metadata() }, (error, answer) => (error === null ? resolve(answer) : reject(error)));
  });
}

/** A watch without a server; it records how it has ended. */
class Watcher extends EventEmitter {
  readonly request = {};
  readonly metadata = new Metadata();
  readonly sent: object[] = [];
  readonly host: string;
  isEnded = false;
  error: { code?: number; details?: string } | null = null;

  constructor(api: Api, host = '192.0.2.1') {
    super();
    this.host = host;
    this.on('error', (error) => {
      this.error = error;
    });
    (api.implementation.watchTargets as unknown as (call: Watcher) => void)(this);
  }

  getPeer(): string {
    return `${this.host}:4711`;
  }

  write(response: object): boolean {
    this.sent.push(response);
    return true;
  }

  end(): void {
    this.isEnded = true;
  }
}

const LIST = { pageSize: 0, pageToken: '', state: 0, mediaId: '' };
const FAR = { name: 'far', path: 'span:host', dialect: 0 };
/** A term without media and targets, as far as a list reads it. */
const EMPTY_TERM = {
  media: { all: () => [], slot: () => undefined },
  operators: () => [],
  operator: () => undefined,
  fleet: { idOf: String },
} as unknown as Term;

describe('the API answers', () => {
  it.each([
    ['listTargets', LIST],
    ['getTarget', { name: 'far' }],
  ] as const)('%s with UNAVAILABLE, and whom to ask, where nobody leads', async (method, request) => {
    await expect(call(rig().api, method, request)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      details: 'nobody leads',
    });
  });

  // Causes: code volconf/src/api.ts UNAVAILABLE
  it('a watch with UNAVAILABLE where nobody leads', () => {
    const { api } = rig();
    expect(new Watcher(api).error).toMatchObject({ code: status.UNAVAILABLE, details: 'nobody leads' });
    expect(api.watches).toBe(0);
  });

  it.each([
    ['setTarget', FAR],
    ['removeTarget', { name: 'far' }],
  ] as const)('%s with UNAVAILABLE before the store is known', async (method, request) => {
    await expect(call(rig().api, method, request)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      details: 'The service is starting: try again.',
    });
  });

  // Causes: code volconf/src/api.ts RESOURCE_EXHAUSTED
  it.each([
    ['missing', status.NOT_FOUND],
    ['too-many', status.RESOURCE_EXHAUSTED],
    ['store', status.UNAVAILABLE],
  ] as const)('a change that fails as %s with status %i', async (code, expected) => {
    const fail = () => Promise.reject(new OperatorTargetError(code, 'why'));
    const { api, log } = rig({ operators: () => ({ set: fail, remove: fail }) as unknown as OperatorTargets });
    const error = { code: expected, details: 'why' };
    await expect(call(api, 'setTarget', FAR)).rejects.toMatchObject(error);
    await expect(call(api, 'removeTarget', { name: 'far' })).rejects.toMatchObject(error);
    expect(log).toEqual([]);
  });

  // Causes: code grpc/api-error.ts INTERNAL
  it('with INTERNAL, and not with what went wrong, when that is our fault; the log says it', async () => {
    const fail = () => Promise.reject(new Error('a secret'));
    const { api, log } = rig({ operators: () => ({ set: fail }) as unknown as OperatorTargets });
    const error = await call(api, 'setTarget', FAR).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: status.INTERNAL });
    expect(String(error)).not.toContain('secret');
    expect(log).toMatchObject([{ msg: 'request failed', err: { message: 'a secret' } }]);
  });

  it.each(['', 'A', 'a.', '.a', '-a', 'a-', 'a..b', 'a_b', 'autoconn:a', 'x'.repeat(64)])(
    'a change of the target %j with INVALID_ARGUMENT',
    async (name) => {
      const { api } = rig();
      const error = { code: status.INVALID_ARGUMENT };
      await expect(call(api, 'setTarget', { ...FAR, name })).rejects.toMatchObject(error);
      await expect(call(api, 'removeTarget', { name })).rejects.toMatchObject(error);
    },
  );

  // Causes: code volconf/src/api.ts INVALID_ARGUMENT
  it.each(['host', 'span:', 'span:host:0'])('the path %j with INVALID_ARGUMENT', async (path) => {
    await expect(call(rig().api, 'setTarget', { ...FAR, path })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  it.each(['a', '9', 'x'.repeat(63), 'a-b.c'])(
    'a change of the target %j, and writes it to the store',
    async (name) => {
      const told: unknown[] = [];
      const { api } = rig({
        operators: () =>
          ({
            set: async (asked: object) => void told.push(asked),
            remove: async () => {},
          }) as unknown as OperatorTargets,
      });
      const answer = await call(api, 'setTarget', { ...FAR, name, dialect: 2 });
      expect(told).toEqual([{ name, path: 'span:host', dialect: 'circuit' }]);
      expect(answer).toMatchObject({ target: { name, path: 'span:host', attempts: 0 } });
      expect(await call(api, 'removeTarget', { name })).toEqual({});
    },
  );

  it.each([[{ mediaId: MEDIA.toUpperCase() }], [{ mediaId: 'x' }], [{ pageToken: 'x' }]])(
    'a list of %j with INVALID_ARGUMENT',
    async (fields) => {
      const { api } = rig({ term: () => EMPTY_TERM });
      await expect(call(api, 'listTargets', { ...LIST, ...fields })).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
      });
    },
  );

  // Causes: code volconf/src/api.ts NOT_FOUND
  it('for a target that is not there with NOT_FOUND, and no more of its name than fits', async () => {
    const { api } = rig({ term: () => EMPTY_TERM });
    const error = await call(api, 'getTarget', { name: 'x'.repeat(1000) }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: status.NOT_FOUND });
    expect(String((error as { details: string }).details)).toHaveLength('There is no target .'.length + 100);
  });
});

describe('a target that is set', () => {
  const known = { asked: { ...FAR, dialect: 'auto', origin: 'operator' }, target: new Target('far', 'far', 0) };
  known.target.attempts = 3;
  const shownBy = async (asked: object) => {
    const term = { ...EMPTY_TERM, operator: () => ({ ...known, asked: { ...known.asked, ...asked } }) };
    const { api } = rig({
      term: () => term as unknown as Term,
      operators: () => ({ set: async () => {} }) as unknown as OperatorTargets,
    });
    const { target } = (await call(api, 'setTarget', FAR)) as { target: { attempts: number } };
    return target.attempts;
  };

  it('is shown as the leader knows it, if the leader has this version of it, and otherwise as in the store', async () => {
    expect(await shownBy({})).toBe(3);
    expect(await shownBy({ path: 'span:other' })).toBe(0);
    expect(await shownBy({ dialect: 'linkid' })).toBe(0);
  });
});

describe('watches', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  // Limits: volconf/src/limits.ts MAX_WATCHES
  it('are limited in number, beyond which a new one is refused if no user has more than others', () => {
    const { api } = rig({ term: () => EMPTY_TERM });
    for (let i = 0; i < MAX_WATCHES; i++) expect(new Watcher(api, `192.0.2.${i % 4}`).error).toBeNull();
    expect(api.watches).toBe(MAX_WATCHES);
    expect(MAX_WATCHES / 4).toBeLessThan(MAX_WATCHES_PER_USER);
    // A user with as many watches as all others gets none: no other user gives way.
    expect(new Watcher(api, '192.0.2.0').error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(api.watches).toBe(MAX_WATCHES);
  });

  it('leave no entries when they end', async () => {
    const { api } = rig({ term: () => EMPTY_TERM });
    const watchers = Array.from({ length: 3 }, () => new Watcher(api));
    watchers[0]!.emit('cancelled');
    expect(api.watches).toBe(2);
    api.endWatches();
    expect([api.watches, watchers.map(({ isEnded }) => isEnded)]).toEqual([0, [false, true, true]]);
    for (let i = 0; i < MAX_WATCHES_PER_USER; i++) expect(new Watcher(api).error).toBeNull();
    await turn();
  });

  it('report changes as long as their replica leads', async () => {
    let term: Term | null = EMPTY_TERM;
    const { api } = rig({ term: () => term });
    const watcher = new Watcher(api);
    await turn();
    expect(watcher.sent).toMatchObject([{ current: true }]);
    term = null;
    api.changed('far');
    await turn();
    expect(watcher.sent).toHaveLength(1);
  });
});

describe('targets by name', () => {
  let world: World;
  afterEach(() => world.stop());

  it('are slots of a media, or targets of operators', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:host'));
    await world.targets.put('far', 'span:host');
    await world.advance(100);
    const { api } = world.leader;
    const get = async (name: string) =>
      ((await call(api, 'getTarget', { name })) as { target: { name: string; slot?: object } }).target;
    expect((await get(`${MEDIA}/3`)).slot).toMatchObject({ index: 3 });
    expect((await get('far')).slot).toBeUndefined();
    for (const name of [`${MEDIA}/4`, `${MEDIA}/1003`, `${MEDIA}/3/3`, 'near']) {
      await expect(get(name)).rejects.toMatchObject({ code: status.NOT_FOUND });
    }
    const list = async (fields: object) =>
      ((await call(api, 'listTargets', { ...LIST, ...fields })) as { targets: { name: string }[] }).targets.map(
        ({ name }) => name,
      );
    expect(await list({ mediaId: MEDIA })).toEqual([`${MEDIA}/3`]);
    expect(await list({})).toEqual([`${MEDIA}/3`, 'far']);
  });
});
