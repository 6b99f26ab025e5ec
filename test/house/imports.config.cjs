// Which file may import which: `npm run imports`, a part of `npm run lint`. Imports of types count, too.
// docs/architecture.md, "The layers" and "Rooms", says why.

/**
 * The rules for the rooms of a package: each room may import itself, the rooms that are named for it, and `shared`
 * files at the root of `src`.
 */
function rooms(path, shared, arrows) {
  const src = `^${path}/src/`;
  return Object.entries(arrows).map(([room, others]) => ({
    name: `${path}: ${room}`,
    comment: `${room}/ imports ${others.length === 0 ? 'no other room' : others.join('/, ')}, and at the root ${shared.join(', ')}`,
    severity: 'error',
    from: { path: `${src}${room}/`, pathNot: TESTING },
    to: {
      path: src,
      pathNot: [...[room, ...others].map((name) => `${src}${name}/`), ...shared.map((name) => `${src}${name}[.]ts$`)],
    },
  }));
}

/** Files that exist for tests only: tests, fixtures, and the suites that every implementation must pass. */
const TESTING = '[.](test|fixture)[.]ts$|-contract[.]ts$|/testing/';

/** Libraries, low to high. */
const LIBS = ['dmsg', 'spantree', 'proto'];

module.exports = {
  forbidden: [
    {
      name: 'no cycle',
      comment: 'Files that import each other are one file, or one of them asks for an interface of its own.',
      severity: 'error',
      from: { pathNot: TESTING },
      to: { circular: true },
    },
    {
      name: 'libs import no services',
      severity: 'error',
      from: { path: '^libs/', pathNot: TESTING },
      to: { path: '^services/' },
    },
    ...LIBS.map((lib) => ({
      name: `${lib} imports no other library`,
      severity: 'error',
      from: { path: `^libs/${lib}/`, pathNot: TESTING },
      to: { path: '^libs/', pathNot: `^libs/${lib}/` },
    })),
    {
      name: 'ctl uses the gateway as a whole',
      comment: 'It runs it; what both need is in a library.',
      severity: 'error',
      from: { path: '^services/ctl/', pathNot: TESTING },
      to: { path: '^services/link-gateway/src/.+/' },
    },
    ...rooms('libs/dmsg-socket', [], {
      address: [],
      socket: [],
      handshake: ['address', 'keys'],
      keys: ['address'],
      stream: ['handshake', 'socket'],
    }),
    ...rooms('services/link-gateway', ['limits', 'metrics', 'settings', 'gateway-ids', 'gateway-error'], {
      address: [],
      shares: [],
      connection: ['shares', 'address'],
      peers: ['connection', 'shares'],
      routing: ['peers', 'connection'],
      trunk: ['routing', 'connection', 'address'],
      entrance: ['peers', 'connection', 'shares', 'address'],
      dial: ['entrance', 'peers', 'connection', 'address'],
      shell: ['dial', 'peers', 'connection'],
      drain: ['routing', 'peers', 'connection', 'shares'],
      attach: ['drain', 'shell', 'peers', 'connection', 'shares'],
      messaging: ['attach', 'routing', 'peers', 'connection'],
      traffic: ['routing', 'peers', 'connection'],
    }),
    ...rooms('services/topology', ['limits', 'metrics', 'settings', 'api-shares'], {
      trees: [],
      show: ['trees'],
      events: [],
      attach: ['trees'],
      operate: ['attach', 'show', 'trees'],
      traffic: ['operate', 'trees'],
      directory: ['attach', 'show', 'trees'],
      replication: ['attach', 'show', 'trees'],
      api: ['traffic', 'operate', 'attach', 'show', 'trees'],
    }),
    ...rooms('services/volconf', ['limits'], {
      gateways: [],
      reconciler: ['gateways'],
      slots: ['reconciler'],
      targets: ['slots'],
    }),
    ...rooms(
      'libs/runtime',
      ['address', 'backoff', 'clock', 'distribution', 'metrics', 'random', 'version', 'work-list'],
      {
        log: [],
        secrets: [],
        settings: ['log'],
        bus: ['settings', 'secrets', 'log'],
        lease: ['bus'],
        gateways: ['bus'],
        events: ['bus', 'log'],
        shares: ['events', 'log'],
        tls: ['secrets', 'events', 'log'],
        access: ['tls', 'secrets', 'shares', 'events', 'settings', 'log'],
        trace: ['access', 'log'],
        grpc: ['trace', 'access', 'tls', 'secrets', 'shares', 'events', 'settings', 'log'],
        process: ['grpc', 'trace', 'access', 'tls', 'shares', 'bus', 'events', 'settings', 'log'],
      },
    ),
  ],
  options: {
    // This parser reads TypeScript unchanged, including `import type`.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'node_modules/(?!@spanmesh/)|^libs/proto/gen/|/dist/|^services/console/web/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
