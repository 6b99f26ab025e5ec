import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gatewayCertificateName } from '@spanmesh/runtime/gateway-certificate';
import { readSettings } from '@spanmesh/runtime/setting';
import { describe, expect, it } from 'vitest';
import { problemsOf, type Schemas } from './json-schema.ts';
import { type KubeObject, selects, type Workload, workloads } from './kube-object.ts';
import { render } from './kustomize.ts';
import { SERVICE_SETTINGS, settingNames } from './setting-names.ts';

const root = join(import.meta.dirname, '../..');
const text = (path: string) => readFileSync(join(root, path), 'utf8');
const schemas = (version: string) => JSON.parse(text(`test/data/kubernetes/kubernetes-${version}.json`)) as Schemas;
const OLD = schemas('1.21');
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
};

/** What is applied, and which versions of Kubernetes must know all of it. */
const CASES: readonly { overlay: string; components?: readonly string[]; versions: readonly Schemas[] }[] = [
  { overlay: 'dev', versions: [OLD, NEW] },
  { overlay: 'production', versions: [NEW] },
  { overlay: 'production', components: ['cert-manager', 'autoscaling-connections'], versions: [NEW] },
  { overlay: 'production-1.21', versions: [OLD] },
  { overlay: 'production-1.21', components: ['autoscaling-connections'], versions: [OLD] },
  { overlay: 'external-nats', versions: [NEW] },
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
      for (const { kind, metadata } of objects) {
        expect(kind === 'Namespace' ? metadata.name : metadata.namespace).toBe('spanmesh');
      }
    });

    it('selects pods that there are', () => {
      const chosen = (selector: KubeObject['spec']['selector']) =>
        all.filter(({ labels }) => selects(selector?.matchLabels ?? selector!, labels)).map(({ name }) => name);
      for (const { object, name, labels, pod } of all) {
        expect(chosen(object.spec.selector), nameOf(object)).toEqual([name]);
        for (const { labelSelector } of pod.topologySpreadConstraints ?? []) {
          expect(selects(labelSelector.matchLabels, labels)).toBe(true);
        }
      }
      for (const service of ofKind('Service')) expect(chosen(service.spec.selector), nameOf(service)).toHaveLength(1);
      for (const budget of ofKind('PodDisruptionBudget')) {
        expect(chosen(budget.spec.selector), nameOf(budget)).toEqual([budget.metadata.name]);
      }
      for (const { spec } of ofKind('HorizontalPodAutoscaler')) {
        expect(named(spec.scaleTargetRef!.kind, spec.scaleTargetRef!.name)).toBeDefined();
      }
    });

    it('names ports that pods have', () => {
      for (const { container } of all) {
        const ports = container.ports!.map(({ name }) => name);
        expect(new Set(ports).size).toBe(ports.length);
        for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
          expect(ports).toContain(probe?.httpGet?.port);
        }
      }
      for (const service of ofKind('Service')) {
        const target = all.find(({ labels }) => selects(service.spec.selector!, labels))!;
        for (const { targetPort } of service.spec.ports!)
          expect(portOf(target, targetPort), nameOf(service)).toBeDefined();
      }
    });

    it('lets only those talk to each other that do', () => {
      for (const { name } of all) expect(named('NetworkPolicy', name), name).toBeDefined();
      for (const policy of ofKind('NetworkPolicy')) {
        const target = all.find(({ labels }) => selects(policy.spec.podSelector!.matchLabels, labels))!;
        const admitted = policy.spec.ingress!.flatMap(({ ports }) => ports!.map(({ port }) => port));
        // Nothing that a pod listens on is forgotten, and nothing else is opened.
        expect(new Set(admitted), nameOf(policy)).toEqual(new Set(target.container.ports!.map(({ name }) => name)));
        for (const { to = [], ports = [] } of policy.spec.egress!) {
          for (const { podSelector } of to) {
            const reached = all.filter(({ labels }) => selects(podSelector!.matchLabels!, labels));
            const numbers = reached.flatMap(({ container }) =>
              container.ports!.map(({ containerPort }) => containerPort),
            );
            // An installation with a NATS elsewhere has no pods of it.
            if (reached.length === 0)
              expect(podSelector!.matchLabels).toMatchObject({ 'app.kubernetes.io/name': 'nats' });
            else expect(numbers).toEqual(expect.arrayContaining(ports.map(({ port }) => port)));
          }
        }
        for (const { from = [] } of policy.spec.ingress!) {
          for (const { podSelector } of from) {
            if (podSelector?.matchLabels === undefined) continue;
            expect(
              all.some(({ labels }) => selects(podSelector.matchLabels!, labels)),
              nameOf(policy),
            ).toBe(true);
          }
        }
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

    it('mounts what is there, or what docs/kubernetes.md says how to make', () => {
      const docs = text('docs/kubernetes.md');
      const there = new Set(objects.map(nameOf));
      for (const { pod, container, object } of all) {
        const claims = object.spec.volumeClaimTemplates ?? [];
        const volumes = [
          ...(pod.volumes ?? []).map(({ name }) => name),
          ...claims.map(({ metadata }) => metadata.name),
        ];
        expect((container.volumeMounts ?? []).map(({ name }) => name).sort()).toEqual(volumes.sort());
        const maps = [
          ...(pod.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []),
          ...(container.envFrom ?? []).flatMap(({ configMapRef }) => configMapRef?.name ?? []),
        ];
        for (const name of maps) expect(there).toContain(`ConfigMap ${name}`);
        const secrets = [
          ...(pod.volumes ?? []).flatMap(({ secret }) => secret?.secretName ?? []),
          ...(container.envFrom ?? []).flatMap(({ secretRef }) => secretRef?.name ?? []),
          ...(container.env ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.name ?? []),
        ];
        for (const name of secrets) {
          if (!there.has(`Secret ${name}`)) expect(docs, `${name} is not explained`).toContain(`\`${name}\``);
        }
        // Readable for the group that the pod runs as, and nobody else.
        for (const { secret } of pod.volumes ?? []) if (secret !== undefined) expect(secret.defaultMode).toBe(0o440);
      }
    });

    it('has pods without any right that they do not need', () => {
      for (const { pod, container, name } of all) {
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
    });

    it('gives a gateway the time to drain that it takes', () => {
      const gateway = ours.find(({ name }) => name === 'link-gateway')!;
      const [, pause] = /setTimeout\(\(\) => \{\}, (\d+)\)/.exec(
        gateway.container.lifecycle!.preStop!.exec!.command[2]!,
      )!;
      const { stopTimeout } = settingsOf(gateway, objects);
      const slackMs = 10_000;
      expect(gateway.pod.terminationGracePeriodSeconds! * 1000).toBeGreaterThanOrEqual(
        Number(pause) + stopTimeout! + slackMs,
      );
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
