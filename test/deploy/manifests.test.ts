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
/** What 1.24 knows, too. */
const OLD = schemas('1.23');
const NEW = schemas('1.34');

/** Names of schemas by apiVersion, without the kind. */
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

/** What is applied, and which versions of Kubernetes must know all of it. */
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

    it('is known to Kubernetes, field by field', () => {
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

    it('has everything once, in its namespace', () => {
      const names = objects.map(nameOf);
      expect(new Set(names).size).toBe(names.length);
      // The namespace itself is made beforehand: what takes an installation away must not take Secrets and volumes with it.
      for (const { metadata } of objects) expect(metadata.namespace).toBe('spanmesh');
    });

    it('refers to nothing that is not there', () => {
      expect(danglingReferences(objects, secretsMadeByHand())).toEqual([]);
    });

    it('lets only those talk to each other that do', () => {
      expect(named('NetworkPolicy', 'default-deny')?.spec).toEqual({
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
      });
      for (const { name, labels, pod } of all) {
        const policies = ofKind('NetworkPolicy').filter(({ spec }) => selects(spec.podSelector!, labels));
        const rules = policies.flatMap(({ spec }) => spec.ingress ?? []);
        const admitted = rules.flatMap(({ ports }) => ports!.map(({ port }) => port));
        // Nothing that others need is forgotten. Probes come from the node, which no policy concerns.
        const listens = pod.containers.flatMap(({ ports = [] }) => ports.map((port) => port.name));
        const forOthers = listens.filter((port) => !(port === 'monitor' && listens.includes('metrics')));
        expect(new Set(admitted), name).toEqual(new Set(forOthers));
      }
    });

    it('lets nobody reach what is only for the node', () => {
      const blocks = ofKind('NetworkPolicy').flatMap(({ spec }) =>
        (spec.egress ?? []).flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? [])),
      );
      expect(blocks).toMatchObject([
        { cidr: '0.0.0.0/0', except: expect.arrayContaining(['169.254.0.0/16']) },
        { cidr: '::/0', except: expect.arrayContaining(['fe80::/10', 'fd00:ec2::254/128']) },
      ]);
      // A rule without a destination is for names, and for a NATS whose place is not known here: one port each.
      const anywhere = ofKind('NetworkPolicy').flatMap(({ spec }) =>
        (spec.egress ?? []).filter(({ to }) => to === undefined).flatMap(({ ports }) => ports?.map(({ port }) => port)),
      );
      expect(new Set(anywhere)).toEqual(new Set(overlay === 'external-nats' ? [53, 4222] : [53]));
    });

    it('lets a namespace have the API, the metrics, or both', () => {
      const labels = ofKind('NetworkPolicy').flatMap(({ spec }) =>
        (spec.ingress ?? []).flatMap(({ from = [] }) =>
          from.flatMap(({ namespaceSelector }) => Object.keys(namespaceSelector?.matchLabels ?? {})),
        ),
      );
      expect(new Set(labels)).toEqual(new Set(['spanmesh-access-api', 'spanmesh-access-metrics']));
    });

    it('names images by a version that does not move, or by digest', () => {
      for (const { pod } of all) {
        for (const { image } of pod.containers)
          expect(image).toMatch(/^[^:@]+(:\d+\.\d+\.\d+(-\w+)?|@sha256:[0-9a-f]{64})$/);
      }
    });

    it('has the recommended labels on everything', () => {
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

    it('gives V8 a heap that fits into the memory limit, with what stands outside of it', () => {
      for (const workload of ours) {
        const options = workload.container.env!.find(({ name }) => name === 'NODE_OPTIONS')?.value;
        const heap = Number(/^--max-old-space-size=(\d+)$/.exec(options ?? '')?.[1]);
        const limit = mebibytes(workload.container.resources!.limits!.memory!);
        const { receiveLimit = 0 } = settingsOf(workload, objects);
        // Node itself, its young generation, threads and code.
        const node = 128;
        expect(heap + receiveLimit / 2 ** 20 + node, workload.name).toBeLessThanOrEqual(limit);
        expect(heap, workload.name).toBeGreaterThanOrEqual(limit / 2);
      }
    });

    it('has probes with time-outs, and moves away from a lost node', () => {
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

    it('sets what the services read, to what they understand', () => {
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

    it('has pods that listen where they say', () => {
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
          // A trunk without TLS is on the loopback.
          if (listen?.host !== '127.0.0.1') expect([port, listen?.port]).toEqual([port, portOf(workload, port)]);
        }
      }
    });

    it('has Secrets that can be read by the group that the pod runs as, and nobody else', () => {
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

    it('gives a gateway the time to drain that it takes', () => {
      const gateway = ours.find(({ name }) => name === 'link-gateway')!;
      const [node, flag, script] = gateway.container.lifecycle!.preStop!.exec!.command;
      expect([node, flag, script]).toEqual(['node', '-e', expect.stringContaining('process.env.PRESTOP_SECONDS')]);
      const seconds = gateway.container.env!.find(({ name }) => name === 'PRESTOP_SECONDS')!.value;
      // A cloud's load balancer takes up to 30 s to notice: that long fits without another grace period.
      const pause = 1000 * Math.max(Number(seconds), 30);
      const { stopTimeout } = settingsOf(gateway, objects);
      const slackMs = 10_000;
      expect(gateway.pod.terminationGracePeriodSeconds! * 1000).toBeGreaterThanOrEqual(pause + stopTimeout! + slackMs);
      // Transactions in progress get more than peers do for closing (docs/scaling.md): what is kept for that is 2 s.
      expect(stopTimeout).toBeGreaterThan(2 * 2_000);
    });

    it('shows peers port 987, and gateways the addresses of peers', () => {
      const { spec } = named('Service', 'link-gateway')!;
      expect(spec.externalTrafficPolicy).toBe('Local');
      expect(spec.ports).toMatchObject([{ port: 987, targetPort: 'dmsg' }]);
      expect(portOf(ours.find(({ name }) => name === 'link-gateway')!, 'dmsg')).toBe(9987);
    });

    it('scales gateways by what they show, and down slowly', () => {
      const metrics = text('docs/metrics.md');
      for (const { spec } of ofKind('HorizontalPodAutoscaler')) {
        for (const { pods } of spec.metrics!)
          if (pods !== undefined) expect(metrics).toContain(`\`${pods.metric.name}\``);
        // By what a gateway uses, whatever was requested for it: it has one core at most.
        const cpu = spec.metrics!.find(({ resource }) => resource?.name === 'cpu')?.resource?.target.averageValue;
        expect(Number(/^(\d+)m$/.exec(cpu ?? '')?.[1])).toBeLessThan(1000);
        expect(spec.behavior!.scaleDown.policies).toMatchObject([{ value: 1, periodSeconds: 300 }]);
        // The autoscaler alone says how many there are.
        expect(named('Deployment', spec.scaleTargetRef!.name)!.spec.replicas).toBeUndefined();
      }
    });
  },
);

describe('what is meant for production', () => {
  it.each(['production', 'production-1.21', 'external-nats'])(
    '%s has enough of each, and TLS between all',
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

  it.each(['production', 'production-1.21', 'external-nats'])('%s starts nothing without its Secrets', (overlay) => {
    for (const { pod } of workloads(render(overlay))) {
      const optional = (pod.volumes ?? []).filter(({ secret }) => secret?.optional === true).map(({ name }) => name);
      // A NATS elsewhere may ask for no file.
      expect(optional).toEqual(overlay === 'external-nats' ? ['nats-files'] : []);
    }
  });

  it('can be applied where dev was: what cannot be changed is the same, or has another name', () => {
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
    // Pods of dev's NATS, while they are still there, are not taken for servers of the new one.
    const left = workloads([...dev.values()]).find(({ name }) => name === 'nats-dev')!;
    for (const { kind, spec, metadata } of render('production')) {
      if (kind === 'Service') expect(selects({ matchLabels: spec.selector! }, left.labels), metadata.name).toBe(false);
    }
  });

  it.each(['production', 'production-1.21'])('%s gives a pod the password of its own user at NATS alone', (overlay) => {
    const rendered = render(overlay);
    for (const { name, pod, container } of workloads(rendered).filter(({ name }) => name !== 'nats')) {
      const logins = pod.volumes!.flatMap(({ secret }) => (secret?.secretName === 'spanmesh-nats' ? [secret] : []));
      expect(logins.map(({ items }) => items)).toEqual([[{ key: name, path: 'password' }]]);
      expect(container.env).toContainEqual({ name: 'SPANMESH_NATS_USER', value: name });
    }
  });

  it('can stand twice in one cluster', () => {
    const permissions = natsFilesOf(render('production'))['permissions.conf']!;
    const second = renderOwn('production', {
      namespace: 'blue',
      components: ['cert-manager'],
      config: { SPANMESH_INSTALLATION: 'blue' },
      labels: { 'app.kubernetes.io/instance': 'blue' },
      // As docs/kubernetes.md says.
      permissions: permissions.replaceAll('spanmesh', 'blue'),
    });
    expect(natsFilesOf(second)['permissions.conf']).toContain('"$KV.blue-leases.topology"');
    expect(natsFilesOf(second)['permissions.conf']).not.toContain('spanmesh');
    expect(natsFilesOf(second)['nats.conf']).toContain('include "permissions.conf"');
    // Nothing of it is outside of a namespace, and nothing reaches into that of the first.
    for (const { kind, metadata } of second) expect([kind, metadata.namespace]).toEqual([kind, 'blue']);
    for (const { name, pod } of workloads(second)) {
      expect(JSON.stringify(pod), name).not.toMatch(/\.spanmesh\.svc/);
    }
    const topology = workloads(second).find(({ name }) => name === 'topology')!;
    expect(configOf(topology, second).SPANMESH_INSTALLATION).toBe('blue');
    expect(topology.object.metadata.labels?.['app.kubernetes.io/instance']).toBe('blue');
    expect(danglingReferences(second, secretsMadeByHand())).toEqual([]);
  });

  it('has a way to a NATS elsewhere by the port of its URL', () => {
    const objects = renderChanged('external-nats', (own) =>
      own.replace('tls://nats.nats.svc:4222', 'nats://bus.example.org:14222'),
    );
    const policy = objects.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'external-nats');
    expect(policy?.spec.egress).toEqual([{ ports: [{ port: 14222 }] }]);
  });

  it('tells of trouble by metrics that there are', () => {
    const metrics = text('docs/metrics.md');
    const rules = render('production', ['monitoring']).flatMap(
      ({ spec }) => spec?.groups?.flatMap((group) => group.rules) ?? [],
    );
    expect(rules.length).toBeGreaterThan(5);
    for (const { alert, expr } of rules) {
      const used = [...expr.matchAll(/spanmesh_\w+/g)].map(([name]) => name);
      expect(used.length, alert).toBeGreaterThan(0);
      // A histogram has its buckets under a name of their own.
      for (const name of used) expect(metrics, alert).toContain(`| \`${name.replace(/_bucket$/, '')}\` |`);
    }
  });

  it('keeps three copies in three NATS servers, which clients know by names in their certificates', () => {
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

  it('gets every certificate that it mounts from cert-manager, with the name that counts', () => {
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
    // Gateways go by the names of their Pods, which begin with that of the Deployment.
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

/** What the ConfigMaps of a workload set. */
function configOf({ container }: Workload, objects: readonly KubeObject[]): Record<string, string> {
  const names = (container.envFrom ?? []).flatMap(({ configMapRef }) => configMapRef?.name ?? []);
  const maps = objects.filter(({ kind, metadata }) => kind === 'ConfigMap' && names.includes(metadata.name));
  return Object.assign({}, ...maps.map(({ data }) => data));
}

/** As much as the checks look at, of any service. */
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

/** A pod's settings, read as its service reads them. @throws SettingError */
function settingsOf(workload: Workload, objects: readonly KubeObject[]): Settings {
  const env: Record<string, string> = configOf(workload, objects);
  for (const { name, value, valueFrom } of workload.container.env ?? []) {
    const field = valueFrom?.fieldRef?.fieldPath;
    const given = field === 'status.podIP' ? '10.1.2.3' : field === 'metadata.name' ? `${workload.name}-0` : value;
    env[name] = (given ?? '').replace(/\$\((\w+)\)/g, (_, used: string) => env[used] ?? '');
  }
  return readSettings(SERVICE_SETTINGS[workload.name]!, { env, flags: {} }) as unknown as Settings;
}
