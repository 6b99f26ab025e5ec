import {
  type Container,
  type KubeObject,
  type LabelSelector,
  selects,
  type Workload,
  workloads,
} from './kube-object.ts';

/** Names of Secrets that operators make by hand, with their keys; no keys: any. */
export type HandMade = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The references of objects to missing objects, a sentence each; empty: all references are right. Kubernetes accepts
 * wrong ones without an error: then a pod does not start, or cannot be reached.
 */
export function danglingReferences(objects: readonly KubeObject[], handMade: HandMade): string[] {
  const set = new ObjectSet(objects, handMade);
  return objects.flatMap((object) => {
    const found = [
      ...workloadProblems(object, set),
      ...serviceProblems(object, set),
      ...policyProblems(object, set),
      ...chooserProblems(object, set),
      ...certificateProblems(object, set),
      ...urlProblems(object, set),
    ];
    return found.map((problem) => `${object.kind} ${object.metadata.name}: ${problem}`);
  });
}

/** All objects of an installation, to look up what a reference names. */
class ObjectSet {
  readonly pods: readonly Workload[];
  readonly #names: ReadonlySet<string>;
  readonly #objects: readonly KubeObject[];
  readonly #handMade: HandMade;

  constructor(objects: readonly KubeObject[], handMade: HandMade) {
    this.#objects = objects;
    this.pods = workloads(objects);
    this.#names = new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
    this.#handMade = handMade;
  }

  get(kind: string, name: string): KubeObject | undefined {
    return this.#objects.find((object) => object.kind === kind && object.metadata.name === name);
  }

  ofKind(kind: string): KubeObject[] {
    return this.#objects.filter((object) => object.kind === kind);
  }

  /** The problem of a reference to one object, if there is any. */
  missing(kind: string, name: string | undefined): string[] {
    if (name === undefined) return [`names no ${kind}`];
    return this.#names.has(`${kind} ${name}`) ? [] : [`there is no ${kind} ${name}`];
  }

  /** The problem of a reference to a Secret, which a Certificate or an operator may make, and to a key in it. */
  missingSecret(name: string, key?: string): string[] {
    const generated = this.get('Secret', name)?.data;
    const certified = this.ofKind('Certificate').some(({ spec }) => spec.secretName === name);
    const keys = generated === undefined ? this.#handMade.get(name) : new Set(Object.keys(generated));
    if (certified || (keys !== undefined && (key === undefined || keys.has(key)))) return [];
    return [keys === undefined ? `nobody makes the Secret ${name}` : `the Secret ${name} has no ${key}`];
  }

  chosen(selector: LabelSelector): Workload[] {
    return this.pods.filter(({ labels }) => selects(selector, labels));
  }
}

function portsOf({ pod }: Workload): { readonly name: string; readonly containerPort: number }[] {
  return pod.containers.flatMap(({ ports = [] }) => ports);
}

function workloadProblems(object: KubeObject, set: ObjectSet): string[] {
  const own = set.pods.find((workload) => workload.object === object);
  if (own === undefined) return [];
  const { pod, labels, name } = own;
  const chosen = set.chosen(object.spec.selector ?? {}).map((workload) => workload.name);
  const volumes = (pod.volumes ?? []).map((volume) => volume.name);
  const claims = (object.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name);
  const mounted = new Set(pod.containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map((mount) => mount.name)));
  return [
    ...(chosen.length === 1 && chosen[0] === name ? [] : [`its selector chooses ${chosen.join(', ') || 'nobody'}`]),
    ...set.missing('ServiceAccount', pod.serviceAccountName),
    ...(object.kind === 'StatefulSet' ? set.missing('Service', object.spec.serviceName) : []),
    ...(pod.topologySpreadConstraints ?? [])
      .filter(({ labelSelector }) => !selects(labelSelector, labels))
      .map(() => 'is spread by labels that it does not have'),
    ...(pod.volumes ?? []).flatMap(({ configMap, secret }) => [
      ...(configMap === undefined ? [] : set.missing('ConfigMap', configMap.name)),
      ...(secret === undefined || secret.optional === true ? [] : set.missingSecret(secret.secretName)),
      ...(secret?.items ?? []).flatMap(({ key }) => set.missingSecret(secret?.secretName ?? '', key)),
    ]),
    ...[...volumes, ...claims].filter((one) => !mounted.has(one)).map((one) => `nobody mounts ${one}`),
    ...[...mounted].filter((one) => ![...volumes, ...claims].includes(one)).map((one) => `${one} is no volume`),
    ...twice(portsOf(own).map((port) => port.name)).map((port) => `two ports are called ${port}`),
    ...pod.containers.flatMap((container) => containerProblems(container, set)),
  ];
}

function containerProblems({ name, env, envFrom, ports, ...probes }: Container, set: ObjectSet): string[] {
  const own = (ports ?? []).map((port) => port.name);
  const asked = [probes.startupProbe, probes.livenessProbe, probes.readinessProbe].flatMap(
    (probe) => probe?.httpGet?.port ?? [],
  );
  return [
    ...(envFrom ?? []).flatMap(({ configMapRef, secretRef }) => [
      ...(configMapRef === undefined ? [] : set.missing('ConfigMap', configMapRef.name)),
      ...(secretRef === undefined || secretRef.optional === true ? [] : set.missingSecret(secretRef.name)),
    ]),
    ...(env ?? []).flatMap(({ valueFrom }) => {
      const from = valueFrom?.secretKeyRef;
      return from === undefined ? [] : set.missingSecret(from.name, from.key);
    }),
    ...asked.filter((port) => !own.includes(port)).map((port) => `${name} is asked at a port ${port} that it lacks`),
  ];
}

function serviceProblems({ kind, spec }: KubeObject, set: ObjectSet): string[] {
  if (kind !== 'Service') return [];
  const [target, ...others] = set.chosen({ matchLabels: spec.selector ?? {} });
  if (target === undefined || others.length > 0)
    return [`chooses ${1 + others.length - (target ? 0 : 1)} kinds of pods`];
  const there = portsOf(target).map((port) => port.name);
  return (spec.ports ?? [])
    .filter(({ targetPort }) => !there.includes(targetPort))
    .map(({ targetPort }) => `${target.name} has no port ${targetPort}`);
}

function policyProblems({ kind, spec }: KubeObject, set: ObjectSet): string[] {
  if (kind !== 'NetworkPolicy') return [];
  const own = set.chosen(spec.podSelector ?? {});
  const everywhere = (spec.ingress ?? []).flatMap(({ from = [], ports = [] }) => [
    ...from.flatMap((peer) => peerProblems(peer, set)),
    ...ports
      .filter(({ port }) => !own.every((target) => hasPort(target, port)))
      .map(({ port }) => `admits to a port ${port} that its pods lack`),
  ]);
  const onTheWayOut = (spec.egress ?? []).flatMap(({ to = [], ports = [] }) =>
    to.flatMap((peer) => {
      if (peer.podSelector === undefined) return [];
      const reached = set.chosen(peer.podSelector);
      return [
        ...peerProblems(peer, set),
        ...ports
          .filter(({ port }) => !reached.every((target) => hasPort(target, port)))
          .map(({ port }) => `lets go to a port ${port} that nobody there listens on`),
      ];
    }),
  );
  return [...(own.length === 0 ? ['concerns no pod'] : []), ...everywhere, ...onTheWayOut];
}

function peerProblems(
  { podSelector, namespaceSelector }: { podSelector?: LabelSelector; namespaceSelector?: LabelSelector },
  set: ObjectSet,
): string[] {
  if (podSelector === undefined || namespaceSelector !== undefined || set.chosen(podSelector).length > 0) return [];
  return [`there are no pods ${JSON.stringify(podSelector)}`];
}

function hasPort(workload: Workload, port: string | number): boolean {
  return portsOf(workload).some(({ name, containerPort }) => name === port || containerPort === port);
}

function chooserProblems({ kind, metadata, spec }: KubeObject, set: ObjectSet): string[] {
  if (kind === 'PodDisruptionBudget') {
    const names = set.chosen(spec.selector ?? {}).map(({ name }) => name);
    return names.length === 1 && names[0] === metadata.name ? [] : [`keeps ${names.join(', ') || 'nobody'}`];
  }
  if (kind === 'HorizontalPodAutoscaler') {
    const { kind: what = '', name } = spec.scaleTargetRef ?? {};
    return set.missing(what, name);
  }
  if (kind === 'PodMonitor') {
    const there = set.chosen(spec.selector ?? {}).flatMap((target) => portsOf(target).map((port) => port.name));
    // Some overlays do not contain NATS's exporter, so its port may be missing.
    return (spec.podMetricsEndpoints ?? [])
      .filter(({ port }) => port !== 'metrics' && !there.includes(port))
      .map(({ port }) => `no pod has the port ${port}`);
  }
  return [];
}

function certificateProblems({ kind, spec }: KubeObject, set: ObjectSet): string[] {
  if (kind === 'Certificate') return set.missing(spec.issuerRef?.kind ?? '', spec.issuerRef?.name);
  if (kind === 'Issuer' && spec.ca !== undefined) return set.missingSecret(spec.ca.secretName);
  return [];
}

/** Checks the URLs of NATS servers within the namespace: each names a Service, or a pod of a StatefulSet's Service. */
function urlProblems({ kind, data }: KubeObject, set: ObjectSet): string[] {
  const urls = kind === 'ConfigMap' ? (data?.SPANMESH_NATS_URL ?? '') : '';
  return urls.split(',').flatMap((text) => {
    if (text === '') return [];
    const { hostname, port } = new URL(text);
    const parts = hostname.split('.');
    // A URL with a namespace belongs to another installation.
    if (parts.length > 2) return [];
    const service = set.get('Service', parts.at(-1) ?? '');
    const known = service?.spec.ports?.some((one) => one.port === Number(port)) === true;
    const server = set.ofKind('StatefulSet').find(({ metadata }) => parts[0]?.startsWith(`${metadata.name}-`) === true);
    const number = Number(parts[0]?.slice(1 + (server?.metadata.name.length ?? 0)));
    const pod = parts.length === 1 || (server !== undefined && number < (server.spec.replicas ?? 1));
    return known && pod ? [] : [`nobody listens on ${text}`];
  });
}

function twice(names: readonly string[]): string[] {
  return names.filter((name, i) => names.indexOf(name) !== i);
}
