import { describe, expect, it } from 'vitest';
import { danglingReferences } from './cross-references.ts';
import { secretsMadeByHand } from './hand-made-secrets.ts';
import type { KubeObject, Workload } from './kube-object.ts';
import { render } from './kustomize.ts';

const handMade = secretsMadeByHand();

/** A field of an object that a test changes, as JSON. */
type Broken = Record<string, unknown> & { metadata: { name: string; labels: Record<string, string> } };

const production = render('production', ['cert-manager', 'monitoring']);

/** All objects, one of them changed. */
function broken(kind: string, name: string, change: (object: Broken) => void): KubeObject[] {
  const objects = structuredClone(production) as unknown as (Broken & { kind: string })[];
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  change(found);
  return objects as unknown as KubeObject[];
}

/** Sets the field at the end of a path. */
function set(path: string, value: unknown): (object: Broken) => void {
  return (object) => {
    const steps = path.split('/');
    const last = steps.pop()!;
    let at: Record<string, unknown> = object;
    for (const step of steps) at = at[step] as Record<string, unknown>;
    if (!(last in at)) throw new Error(`${path} is not there`);
    at[last] = value;
  };
}

const NAME = 'app.kubernetes.io/name';
const POD = 'spec/template/spec';

describe('references to missing objects', () => {
  it('do not exist in the shipped manifests', () => {
    expect(danglingReferences(production, handMade)).toEqual([]);
  });

  it.each<[string, KubeObject[], RegExp]>([
    [
      'a Secret that nobody makes',
      broken('Deployment', 'link-gateway', set(`${POD}/volumes/0/secret/secretName`, 'spanmesh-key')),
      /nobody makes the Secret spanmesh-key/,
    ],
    [
      'a key that a Secret does not have',
      broken('StatefulSet', 'nats', set(`${POD}/containers/0/env/1/valueFrom/secretKeyRef/key`, 'pass')),
      /the Secret spanmesh-nats has no pass/,
    ],
    [
      'a file of a Secret that it does not have',
      broken('Deployment', 'volconf', (object) => {
        const pod = (object as unknown as Workload['object']).spec.template!.spec;
        const items = pod.volumes!.flatMap(({ secret }) => secret?.items ?? []) as { key: string }[];
        items[0]!.key = 'vol-conf';
      }),
      /the Secret spanmesh-nats has no vol-conf/,
    ],
    [
      'a ConfigMap by its name without the hash',
      broken('Deployment', 'topology', set(`${POD}/containers/0/envFrom/0/configMapRef/name`, 'spanmesh-config')),
      /there is no ConfigMap spanmesh-config/,
    ],
    [
      'a ServiceAccount',
      broken('Deployment', 'volconf', set(`${POD}/serviceAccountName`, 'vol-conf')),
      /there is no ServiceAccount vol-conf/,
    ],
    [
      'a port of a Service',
      broken('Service', 'link-gateway', set('spec/ports/0/targetPort', 'dsmg')),
      /link-gateway has no port dsmg/,
    ],
    [
      'a port of a probe',
      broken('Deployment', 'topology', set(`${POD}/containers/0/readinessProbe/httpGet/port`, 'https')),
      /asked at a port https/,
    ],
    [
      'a selector of a Service',
      broken('Service', 'topology', set(`spec/selector`, { [NAME]: 'topologie' })),
      /chooses 0 kinds of pods/,
    ],
    [
      'a selector of a Service that chooses too many',
      broken('Service', 'topology', set(`spec/selector`, { 'app.kubernetes.io/part-of': 'spanmesh' })),
      /chooses 4 kinds of pods/,
    ],
    [
      'labels of pods that their Deployment does not select',
      broken('Deployment', 'volconf', set('spec/template/metadata/labels', { [NAME]: 'x' })),
      /chooses nobody/,
    ],
    [
      'a peer of a policy',
      broken('NetworkPolicy', 'topology', set('spec/ingress/0/from/0/podSelector/matchLabels', { [NAME]: 'gateway' })),
      /there are no pods/,
    ],
    [
      'a port of a policy',
      broken('NetworkPolicy', 'volconf', set('spec/ingress/0/ports/0/port', 'grpc')),
      /admits to a port grpc/,
    ],
    [
      'a port on the way out',
      broken('NetworkPolicy', 'to-nats', set('spec/egress/0/ports/0/port', 4223)),
      /a port 4223 that nobody there listens on/,
    ],
    [
      'pods of a policy',
      broken('NetworkPolicy', 'nats', set('spec/podSelector/matchLabels', { [NAME]: 'natz' })),
      /concerns no pod/,
    ],
    [
      'pods of a disruption budget',
      broken('PodDisruptionBudget', 'link-gateway', set('spec/selector/matchLabels', { [NAME]: 'x' })),
      /keeps nobody/,
    ],
    [
      'what an autoscaler scales',
      broken('HorizontalPodAutoscaler', 'link-gateway', set('spec/scaleTargetRef/name', 'gateway')),
      /there is no Deployment gateway/,
    ],
    [
      'the Service of a StatefulSet',
      broken('StatefulSet', 'nats', set('spec/serviceName', 'nats-headless')),
      /there is no Service nats-headless/,
    ],
    [
      'a volume that is not there',
      broken('Deployment', 'topology', set(`${POD}/volumes/0/name`, 'certificates')),
      /is no volume/,
    ],
    ['an Issuer', broken('Certificate', 'spanmesh-tls-api', set('spec/issuerRef/name', 'ca')), /there is no Issuer ca/],
    [
      'the port of a PodMonitor',
      broken('PodMonitor', 'spanmesh', set('spec/podMetricsEndpoints/0/port', 'prometheus')),
      /no pod has the port prometheus/,
    ],
    [
      'labels by which pods are spread',
      broken(
        'Deployment',
        'topology',
        set(`${POD}/topologySpreadConstraints/0/labelSelector/matchLabels`, { [NAME]: 'x' }),
      ),
      /spread by labels that it does not have/,
    ],
  ])('%s', (_, objects, problem) => {
    expect(danglingReferences(objects, handMade)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });

  it('a NATS server beyond the last one is found', () => {
    const name = production.find(({ metadata }) => metadata.name.startsWith('spanmesh-config'))!.metadata.name;
    const url = (text: string) =>
      danglingReferences(broken('ConfigMap', name, set('data/SPANMESH_NATS_URL', text)), handMade);
    expect(url('tls://nats-2.nats:4222,tls://nats:4222')).toEqual([]);
    expect(url('tls://nats-3.nats:4222')).toEqual([
      expect.stringContaining('nobody listens on tls://nats-3.nats:4222'),
    ]);
    expect(url('tls://nats:4223')).toHaveLength(1);
  });
});
