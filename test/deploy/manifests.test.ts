import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { gatewayCertificateName } from '@spanmesh/runtime/tls/gateway-certificate';
import { describe, expect, it } from 'vitest';
import { danglingReferences } from './cross-references.ts';
import { secretsMadeByHand } from './hand-made-secrets.ts';
import { problemsOf, type Schemas } from './json-schema.ts';
import { type KubeObject, selects, type Workload, workloads } from './kube-object.ts';
import { render, renderChanged, renderOwn } from './kustomize.ts';
import { natsFilesOf } from './nats-users.ts';
import { SERVICE_SETTINGS, settingNames } from './setting-names.ts';

const root = join(import.meta.dirname, '../..');
const text = (path: string) => readFileSync(join(root, path), 'utf8');
const schemas = (version: string) => JSON.parse(text(`test/data/kubernetes/kubernetes-${version}.json`)) as Schemas;
const OLDEST = schemas('1.21');
/** The schemas that the objects must fit in 1.24, too. */
const OLD = schemas('1.23');
const NEW = schemas('1.34');

/** Prefixes of the names of schemas, by apiVersion. */
const GROUPS: Record<string, string> = {
  v1: 'IoK8sApiCoreV1',
  'apps/v1': 'IoK8sApiAppsV1',
  'policy/v1': 'IoK8sApiPolicyV1',
  'autoscaling/v2': 'IoK8sApiAutoscalingV2',
  'autoscaling/v2beta2': 'IoK8sApiAutoscalingV2beta2',
  'networking.k8s.io/v1': 'IoK8sApiNetworkingV1',
  'cert-manager.io/v1': 'ComGithubCertManagerCertManagerPkgApisCertmanagerV1',
  'monitoring.coreos.com/v1': 'ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1',
};

/**
 * The overlays and components that are applied together, and the versions of Kubernetes that must know all their
 * fields.
 */
const CASES: readonly { overlay: string; components?: readonly string[]; versions: readonly Schemas[] }[] = [
  { overlay: 'dev', versions: [OLDEST, OLD, NEW] },
  { overlay: 'production', versions: [OLD, NEW] },
  { overlay: 'production', components: ['cert-manager', 'autoscaling-connections', 'monitoring'], versions: [NEW] },
  { overlay: 'production-1.21', versions: [OLDEST] },
  { overlay: 'production-1.21', components: ['autoscaling-connections'], versions: [OLDEST] },
  { overlay: 'external-nats', versions: [OLD, NEW] },
];

describe.each(CASES.map((one) => ({ ...one, name: [one.overlay, ...(one.components ?? [])].join(' with ') })))(
  '$name',
  ({ overlay, components, versions }) => {
    const objects = render(overlay, components);
    const all = workloads(objects);
    const ours = all.filter(({ name }) => name in SERVICE_SETTINGS);
    const named = (kind: string, name: string) =>
      objects.find((object) => object.kind === kind && object.metadata.name === name);
    const ofKind = (kind: string) => objects.filter((object) => object.kind === kind);

    it('contains only objects and fields that Kubernetes knows', () => {
      for (const known of versions) {
        const problems = objects.flatMap((object) =>
          problemsOf(object, `${GROUPS[object.apiVersion]}${object.kind}`, known).map(
            (one) => `${nameOf(object)}${one}`,
          ),
        );
        expect(problems).toEqual([]);
      }
      expect(all.map(({ name }) => name)).toEqual(expect.arrayContaining(['topology', 'link-gateway', 'volconf']));
    });

    it('has each object once, in its namespace', () => {
      const names = objects.map(nameOf);
      expect(new Set(names).size).toBe(names.length);
      // The namespace is created before, so that deleting an installation does not delete Secrets and volumes with it.
      for (const { metadata } of objects) expect(metadata.namespace).toBe('spanmesh');
    });

    it('refers to no missing object', () => {
      expect(danglingReferences(objects, secretsMadeByHand())).toEqual([]);
    });

    it('allows connections only between services that need them', () => {
      expect(named('NetworkPolicy', 'default-deny')?.spec).toEqual({
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
      });
      for (const { name, labels, pod } of all) {
        const policies = ofKind('NetworkPolicy').filter(({ spec }) => selects(spec.podSelector!, labels));
        const rules = policies.flatMap(({ spec }) => spec.ingress ?? []);
        const admitted = rules.flatMap(({ ports }) => ports!.map(({ port }) => port));
        // Every port that other services need is opened. Probes come from the node, to which no policy applies.
        const listens = pod.containers.flatMap(({ ports = [] }) => ports.map((port) => port.name));
        const forOthers = listens.filter((port) => !(port === 'monitor' && listens.includes('metrics')));
        expect(new Set(admitted), name).toEqual(new Set(forOthers));
      }
    });

    it('allows no connection to ports that only the node needs', () => {
      const blocks = ofKind('NetworkPolicy').flatMap(({ spec }) =>
        (spec.egress ?? []).flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? [])),
      );
      expect(blocks).toMatchObject([
        { cidr: '0.0.0.0/0', except: expect.arrayContaining(['169.254.0.0/16']) },
        { cidr: '::/0', except: expect.arrayContaining(['fe80::/10', 'fd00:ec2::254/128']) },
      ]);
      // Rules without a destination are for DNS, and for a NATS elsewhere: one port each.
      const anywhere = ofKind('NetworkPolicy').flatMap(({ spec }) =>
        (spec.egress ?? []).filter(({ to }) => to === undefined).flatMap(({ ports }) => ports?.map(({ port }) => port)),
      );
      expect(new Set(anywhere)).toEqual(new Set(overlay === 'external-nats' ? [53, 4222] : [53]));
    });

    it('lets a namespace reach the API, the metrics, or both', () => {
      const labels = ofKind('NetworkPolicy').flatMap(({ spec }) =>
        (spec.ingress ?? []).flatMap(({ from = [] }) =>
          from.flatMap(({ namespaceSelector }) => Object.keys(namespaceSelector?.matchLabels ?? {})),
        ),
      );
      expect(new Set(labels)).toEqual(new Set(['spanmesh-access-api', 'spanmesh-access-metrics']));
    });

    it('names images by a fixed version, or by digest', () => {
      for (const { pod } of all) {
        for (const { image } of pod.containers)
          expect(image).toMatch(/^[^:@]+(:\d+\.\d+\.\d+(-\w+)?|@sha256:[0-9a-f]{64})$/);
      }
    });

    it('has the recommended labels on every object', () => {
      const { version } = JSON.parse(text('package.json')) as { version: string };
      for (const object of objects.filter(
        ({ kind }) => !['ConfigMap', 'Secret', 'Issuer', 'Certificate'].includes(kind),
      )) {
        const { labels } = object.metadata;
        expect(labels, nameOf(object)).toMatchObject({
          'app.kubernetes.io/name': expect.any(String),
          'app.kubernetes.io/component': expect.any(String),
          'app.kubernetes.io/part-of': 'spanmesh',
        });
        if (object.apiVersion.includes('monitoring')) continue;
        expect(labels, nameOf(object)).toMatchObject({
          'app.kubernetes.io/instance': 'spanmesh',
          'app.kubernetes.io/managed-by': 'kustomize',
        });
      }
      for (const { labels } of ours) expect(labels['app.kubernetes.io/version']).toBe(version);
      for (const { spec } of ofKind('Service')) {
        for (const { appProtocol } of spec.ports!) expect(appProtocol).toBeDefined();
      }
    });

    it('gives V8 a heap that fits into the memory limit together with the memory outside of it', () => {
      for (const workload of ours) {
        const options = workload.container.env!.find(({ name }) => name === 'NODE_OPTIONS')?.value;
        const heap = Number(/^--max-old-space-size=(\d+)$/.exec(options ?? '')?.[1]);
        const limit = mebibytes(workload.container.resources!.limits!.memory!);
        const { receiveLimit = 0 } = settingsOf(workload, objects);
        // Memory of Node itself, its young generation, threads and code.
        const node = 128;
        expect(heap + receiveLimit / 2 ** 20 + node, workload.name).toBeLessThanOrEqual(limit);
        expect(heap, workload.name).toBeGreaterThanOrEqual(limit / 2);
      }
    });

    it('has probes with time-outs, and leaves a lost node', () => {
      for (const { pod, name } of ours) {
        for (const { startupProbe, livenessProbe, readinessProbe } of pod.containers) {
          for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
            expect(probe?.timeoutSeconds, name).toBeGreaterThanOrEqual(2);
            expect(probe?.periodSeconds, name).toBeGreaterThanOrEqual(probe!.timeoutSeconds!);
          }
        }
        expect(pod.tolerations?.map(({ tolerationSeconds }) => tolerationSeconds)).toEqual([20, 20]);
      }
    });

    it('sets variables that the services read, to values that they accept', () => {
      const anywhere = settingNames();
      for (const workload of ours) {
        const own = settingNames(workload.name);
        expect(workload.container.args).toEqual([workload.name]);
        for (const { name } of workload.container.env!) {
          if (name.startsWith('SPANMESH_')) expect(own, `${workload.name}: ${name}`).toContain(name);
        }
        for (const name of Object.keys(configOf(workload, objects))) expect(anywhere).toContain(name);
        expect(() => settingsOf(workload, objects)).not.toThrow();
      }
    });

    it('uses variables only below the line that sets them', () => {
      for (const { container, name } of all) {
        const known = new Set<string>();
        for (const variable of container.env!) {
          for (const [, used] of (variable.value ?? '').matchAll(/\$\((\w+)\)/g)) expect(known, name).toContain(used);
          known.add(variable.name);
        }
        for (const [, used] of (container.args ?? []).join(' ').matchAll(/\$\((\w+)\)/g)) expect(known).toContain(used);
      }
    });

    it('has containers that listen on their declared ports', () => {
      for (const workload of ours) {
        const settings = settingsOf(workload, objects);
        const listens = {
          api: settings.grpcListen,
          service: settings.serviceListen,
          http: settings.httpListen,
          ...(workload.name === 'link-gateway' ? { dmsg: settings.dmsgListen?.[0], trunk: settings.trunkListen } : {}),
        };
        expect(workload.container.ports!.map(({ name }) => name).sort()).toEqual(Object.keys(listens).sort());
        for (const [port, listen] of Object.entries(listens)) {
          // A trunk without TLS listens on the loopback.
          if (listen?.host !== '127.0.0.1') expect([port, listen?.port]).toEqual([port, portOf(workload, port)]);
        }
      }
    });

    it('has Secrets that the group of the pod can read, and no other user', () => {
      for (const { pod } of all) {
        for (const { secret } of pod.volumes ?? []) if (secret !== undefined) expect(secret.defaultMode).toBe(0o440);
      }
    });

    it('has pods without any right that they do not need', () => {
      for (const { pod, name } of all) {
        expect(pod, name).toMatchObject({
          automountServiceAccountToken: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            fsGroup: 1000,
            seccompProfile: { type: 'RuntimeDefault' },
          },
        });
        expect(named('ServiceAccount', pod.serviceAccountName!)?.automountServiceAccountToken).toBe(false);
        for (const container of pod.containers) {
          expect(container.securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(container.resources).toMatchObject({
            requests: { cpu: expect.any(String), memory: expect.any(String) },
            limits: { memory: expect.any(String) },
          });
        }
      }
    });

    it('gives a gateway the time that its drain takes', () => {
      const gateway = ours.find(({ name }) => name === 'link-gateway')!;
      const [node, flag, script] = gateway.container.lifecycle!.preStop!.exec!.command;
      expect([node, flag, script]).toEqual(['node', '-e', expect.stringContaining('process.env.PRESTOP_SECONDS')]);
      const seconds = gateway.container.env!.find(({ name }) => name === 'PRESTOP_SECONDS')!.value;
      // A cloud's load balancer takes up to 30 s to notice: a pause of that length fits into the same grace period.
      const pause = 1000 * Math.max(Number(seconds), 30);
      const { stopTimeout } = settingsOf(gateway, objects);
      const slackMs = 10_000;
      expect(gateway.pod.terminationGracePeriodSeconds! * 1000).toBeGreaterThanOrEqual(pause + stopTimeout! + slackMs);
      // Transactions in progress get more time than peers get for closing (docs/scaling.md), for which 2 s are kept.
      expect(stopTimeout).toBeGreaterThan(2 * 2_000);
    });

    it('shows port 987 to peers, and the addresses of peers to gateways', () => {
      const { spec } = named('Service', 'link-gateway')!;
      expect(spec.externalTrafficPolicy).toBe('Local');
      expect(spec.ports).toMatchObject([{ port: 987, targetPort: 'dmsg' }]);
      expect(portOf(ours.find(({ name }) => name === 'link-gateway')!, 'dmsg')).toBe(9987);
    });

    it('scales gateways by their load, and down slowly', () => {
      const metrics = text('docs/metrics.md');
      for (const { spec } of ofKind('HorizontalPodAutoscaler')) {
        for (const { pods } of spec.metrics!)
          if (pods !== undefined) expect(metrics).toContain(`\`${pods.metric.name}\``);
        // By the CPU time that a gateway uses, whatever it requests: a gateway can use one core at most.
        const cpu = spec.metrics!.find(({ resource }) => resource?.name === 'cpu')?.resource?.target.averageValue;
        expect(Number(/^(\d+)m$/.exec(cpu ?? '')?.[1])).toBeLessThan(1000);
        expect(spec.behavior!.scaleDown.policies).toMatchObject([{ value: 1, periodSeconds: 300 }]);
        // Only the autoscaler decides how many there are.
        expect(named('Deployment', spec.scaleTargetRef!.name)!.spec.replicas).toBeUndefined();
      }
    });
  },
);

describe('the manifests for production', () => {
  it.each(['production', 'production-1.21', 'external-nats'])(
    '%s has enough replicas of each service, and TLS between all of them',
    (overlay) => {
      const objects = render(overlay);
      const count = (name: string) => workloads(objects).find((one) => one.name === name)?.object.spec.replicas;
      expect(count('topology')).toBeGreaterThanOrEqual(2);
      expect(count('volconf')).toBeGreaterThanOrEqual(2);
      const scaled = objects.filter(({ kind }) => kind === 'HorizontalPodAutoscaler');
      expect(scaled.map(({ spec }) => [spec.scaleTargetRef!.name, spec.minReplicas])).toEqual([['link-gateway', 3]]);
      for (const workload of workloads(objects).filter(({ name }) => name in SERVICE_SETTINGS)) {
        const settings = settingsOf(workload, objects);
        expect(settings.insecure).toBe(false);
        const { tlsCa, tlsCert, tlsKey, apiTlsCert, apiTlsKey, apiTokensFile } = settings;
        const mounts = workload.container.volumeMounts!.map(({ mountPath }) => mountPath);
        for (const file of [tlsCa, tlsCert, tlsKey, apiTlsCert, apiTlsKey, apiTokensFile]) {
          expect(mounts).toContain(file!.slice(0, file!.lastIndexOf('/')));
        }
        const secrets = workload.pod.volumes!.flatMap(({ secret }) => secret?.secretName ?? []);
        expect(secrets).toContain(`spanmesh-tls-${workload.name}`);
      }
    },
  );

  it.each(['production', 'production-1.21', 'external-nats'])('%s starts no pod without its Secrets', (overlay) => {
    for (const { pod } of workloads(render(overlay))) {
      const optional = (pod.volumes ?? []).filter(({ secret }) => secret?.optional === true).map(({ name }) => name);
      // A NATS elsewhere may need no files.
      expect(optional).toEqual(overlay === 'external-nats' ? ['nats-files'] : []);
    }
  });

  it('can be applied over dev: fields that cannot be changed are equal, or the objects have other names', () => {
    const dev = new Map(render('dev').map((object) => [nameOf(object), object]));
    const shared = render('production').filter((object) => dev.has(nameOf(object)));
    expect(shared.length).toBeGreaterThan(5);
    for (const object of shared.filter(({ kind }) => ['Deployment', 'StatefulSet', 'Service'].includes(kind))) {
      const { selector, serviceName, podManagementPolicy, volumeClaimTemplates, clusterIP } = object.spec;
      const before = dev.get(nameOf(object))!.spec;
      expect(before.selector, nameOf(object)).toEqual(selector);
      expect([before.serviceName, before.podManagementPolicy, before.volumeClaimTemplates, before.clusterIP]).toEqual([
        serviceName,
        podManagementPolicy,
        volumeClaimTemplates,
        clusterIP,
      ]);
    }
    // Remaining pods of dev's NATS are not chosen as servers of the new one.
    const left = workloads([...dev.values()]).find(({ name }) => name === 'nats-dev')!;
    for (const { kind, spec, metadata } of render('production')) {
      if (kind === 'Service') expect(selects({ matchLabels: spec.selector! }, left.labels), metadata.name).toBe(false);
    }
  });

  it.each(['production', 'production-1.21'])(
    '%s gives each pod only the password of its own user at NATS',
    (overlay) => {
      const rendered = render(overlay);
      for (const { name, pod, container } of workloads(rendered).filter(({ name }) => name !== 'nats')) {
        const logins = pod.volumes!.flatMap(({ secret }) => (secret?.secretName === 'spanmesh-nats' ? [secret] : []));
        expect(logins.map(({ items }) => items)).toEqual([[{ key: name, path: 'password' }]]);
        expect(container.env).toContainEqual({ name: 'SPANMESH_NATS_USER', value: name });
      }
    },
  );

  it('can be installed twice in one cluster', () => {
    const permissions = natsFilesOf(render('production'))['permissions.conf']!;
    const second = renderOwn('production', {
      namespace: 'blue',
      components: ['cert-manager'],
      config: { SPANMESH_INSTALLATION: 'blue' },
      labels: { 'app.kubernetes.io/instance': 'blue' },
      // As in docs/kubernetes.md.
      permissions: permissions.replaceAll('spanmesh', 'blue'),
    });
    expect(natsFilesOf(second)['permissions.conf']).toContain('"$KV.blue-leases.topology"');
    expect(natsFilesOf(second)['permissions.conf']).not.toContain('spanmesh');
    expect(natsFilesOf(second)['nats.conf']).toContain('include "permissions.conf"');
    // All its objects are in its namespace, and none refers to the first installation's namespace.
    for (const { kind, metadata } of second) expect([kind, metadata.namespace]).toEqual([kind, 'blue']);
    for (const { name, pod } of workloads(second)) {
      expect(JSON.stringify(pod), name).not.toMatch(/\.spanmesh\.svc/);
    }
    const topology = workloads(second).find(({ name }) => name === 'topology')!;
    expect(configOf(topology, second).SPANMESH_INSTALLATION).toBe('blue');
    expect(topology.object.metadata.labels?.['app.kubernetes.io/instance']).toBe('blue');
    expect(danglingReferences(second, secretsMadeByHand())).toEqual([]);
  });

  it('allows connections to a NATS elsewhere at the port of its URL', () => {
    const objects = renderChanged('external-nats', (own) =>
      own.replace('tls://nats.nats.svc:4222', 'nats://bus.example.org:14222'),
    );
    const policy = objects.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'external-nats');
    expect(policy?.spec.egress).toEqual([{ ports: [{ port: 14222 }] }]);
  });

  it('has alerts on existing metrics', () => {
    const metrics = text('docs/metrics.md');
    const rules = render('production', ['monitoring']).flatMap(
      ({ spec }) => spec?.groups?.flatMap((group) => group.rules) ?? [],
    );
    expect(rules.length).toBeGreaterThan(5);
    for (const { alert, expr } of rules) {
      const used = [...expr.matchAll(/spanmesh_\w+/g)].map(([name]) => name);
      expect(used.length, alert).toBeGreaterThan(0);
      // A histogram's buckets have a name of their own.
      for (const name of used) expect(metrics, alert).toContain(`| \`${name.replace(/_bucket$/, '')}\` |`);
    }
  });

  it('keeps three copies on three NATS servers, whose certificates contain the names that clients use', () => {
    const objects = render('production', ['cert-manager']);
    const nats = workloads(objects).find(({ name }) => name === 'nats')!;
    expect(nats.object).toMatchObject({ kind: 'StatefulSet', spec: { replicas: 3 } });
    expect(nats.object.spec.volumeClaimTemplates).toHaveLength(1);
    const config = configOf(workloads(objects).find(({ name }) => name === 'topology')!, objects);
    expect(config.SPANMESH_NATS_REPLICAS).toBe('3');
    const hosts = config.SPANMESH_NATS_URL!.split(',').map((url) => new URL(url).hostname);
    expect(hosts).toEqual(['nats-0.nats', 'nats-1.nats', 'nats-2.nats']);
    const { dnsNames } = objects.find(
      ({ kind, spec }) => kind === 'Certificate' && spec.secretName === 'spanmesh-tls-nats',
    )!.spec;
    expect(dnsNames).toEqual(expect.arrayContaining(hosts));
  });

  it('gets every certificate that it mounts from cert-manager, with the right name', () => {
    const objects = render('production', ['cert-manager']);
    const made = objects
      .filter(({ kind }) => kind === 'Certificate')
      .map(({ spec }) => [spec.secretName, spec.dnsNames]);
    const mounted = workloads(objects).flatMap(({ pod }) =>
      pod.volumes!.flatMap(({ secret }) => secret?.secretName ?? []),
    );
    const names = new Map(made as [string, string[] | undefined][]);
    expect([...names.keys()]).toEqual(
      expect.arrayContaining([...new Set(mounted)].filter((name) => name.startsWith('spanmesh-tls-'))),
    );
    for (const service of ['topology', 'volconf']) {
      expect(names.get(`spanmesh-tls-${service}`)).toEqual([`${service}.spanmesh`]);
    }
    // Gateways are named after their Pods, whose names begin with the Deployment's.
    expect(names.get('spanmesh-tls-link-gateway')).toEqual([
      'link-gateway.spanmesh',
      gatewayCertificateName('link-gateway-*'),
    ]);
    expect(names.get('spanmesh-tls-api')).toContain('api.spanmesh');
  });
});

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}

function mebibytes(quantity: string): number {
  const [, number, unit] = /^(\d+)([MG])i$/.exec(quantity)!;
  return Number(number) * (unit === 'G' ? 1024 : 1);
}

function portOf({ container }: Workload, name: string): number | undefined {
  return container.ports!.find((port) => port.name === name)?.containerPort;
}

/** The settings in a workload's ConfigMaps. */
function configOf({ container }: Workload, objects: readonly KubeObject[]): Record<string, string> {
  const names = (container.envFrom ?? []).flatMap(({ configMapRef }) => configMapRef?.name ?? []);
  const maps = objects.filter(({ kind, metadata }) => kind === 'ConfigMap' && names.includes(metadata.name));
  return Object.assign({}, ...maps.map(({ data }) => data));
}

/** The settings of any service that the checks read. */
interface Settings {
  readonly grpcListen: { readonly host: string; readonly port: number };
  readonly serviceListen: { readonly host: string; readonly port: number };
  readonly httpListen: { readonly host: string; readonly port: number };
  readonly trunkListen?: { readonly host: string; readonly port: number };
  readonly dmsgListen?: readonly { readonly host: string; readonly port: number }[];
  readonly stopTimeout?: number;
  readonly receiveLimit?: number;
  readonly insecure: boolean;
  readonly tlsCa: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly apiTlsCert: string;
  readonly apiTlsKey: string;
  readonly apiTokensFile: string;
}

/** A pod's settings, read by the code of its service. @throws SettingError */
function settingsOf(workload: Workload, objects: readonly KubeObject[]): Settings {
  const env: Record<string, string> = configOf(workload, objects);
  for (const { name, value, valueFrom } of workload.container.env ?? []) {
    const field = valueFrom?.fieldRef?.fieldPath;
    const given = field === 'status.podIP' ? '10.1.2.3' : field === 'metadata.name' ? `${workload.name}-0` : value;
    env[name] = (given ?? '').replace(/\$\((\w+)\)/g, (_, used: string) => env[used] ?? '');
  }
  return readSettings(SERVICE_SETTINGS[workload.name]!, { env, flags: {} }) as unknown as Settings;
}
