import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { KubeObject } from './kube-object.ts';

export const MANIFESTS = join(import.meta.dirname, '../../deploy/k8s');

/** What was rendered before, as it was: kubectl takes a second, and many tests look at the same overlays. */
const rendered = new Map<string, readonly KubeObject[]>();

/**
 * What `kubectl apply -k` would send: an overlay, with further components on top as a user's own overlay adds them. No
 * cluster is asked. The objects are the caller's own.
 */
export function render(overlay: string, components: readonly string[] = []): KubeObject[] {
  const key = [overlay, ...components].join();
  const objects = rendered.get(key) ?? rendering(overlay, components);
  rendered.set(key, objects);
  return structuredClone([...objects]);
}

function rendering(overlay: string, components: readonly string[]): KubeObject[] {
  if (components.length === 0) return objectsOf(kubectl(['kustomize', join(MANIFESTS, 'overlays', overlay)]));
  return renderOwn(overlay, { namespace: 'spanmesh', components });
}

/** The contents of a user's own overlay, on top of one of ours. */
export interface OwnOverlay {
  readonly namespace: string;
  readonly components?: readonly string[];
  /** Settings for the ConfigMap. */
  readonly config?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** The content that replaces permissions.conf of NATS. */
  readonly permissions?: string;
}

export function renderOwn(
  overlay: string,
  { namespace, components = [], config = {}, labels, permissions }: OwnOverlay,
): KubeObject[] {
  const own = realpathSync(mkdtempSync(join(tmpdir(), 'overlay-')));
  const literals = Object.entries(config).map(([name, value]) => `${name}=${value}`);
  try {
    // Written as JSON, which is YAML, too. Kustomize accepts relative paths only.
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace,
      resources: [relative(own, join(MANIFESTS, 'overlays', overlay))],
      components: components.map((name) => relative(own, join(MANIFESTS, 'components', name))),
      configMapGenerator: [
        { name: 'spanmesh-config', behavior: 'merge', literals },
        ...(permissions === undefined ? [] : [{ name: 'nats-config', behavior: 'merge', files: ['permissions.conf'] }]),
      ],
      ...(labels !== undefined && { labels: [{ pairs: labels }] }),
    };
    if (permissions !== undefined) writeFileSync(join(own, 'permissions.conf'), permissions);
    writeFileSync(join(own, 'kustomization.yaml'), JSON.stringify(kustomization));
    return objectsOf(kubectl(['kustomize', own]));
  } finally {
    rmSync(own, { recursive: true });
  }
}

/** The objects of a changed copy of one of our overlays. */
export function renderChanged(overlay: string, change: (text: string) => string): KubeObject[] {
  const own = mkdtempSync(join(tmpdir(), 'overlay-'));
  try {
    cpSync(MANIFESTS, own, { recursive: true });
    const file = join(own, 'overlays', overlay, 'kustomization.yaml');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    return objectsOf(kubectl(['kustomize', dirname(file)]));
  } finally {
    rmSync(own, { recursive: true });
  }
}

/** Reads YAML documents as objects with kubectl, by an empty patch whose result is printed as JSON. */
function objectsOf(yaml: string): KubeObject[] {
  const json = kubectl(['patch', '--local', '-f', '-', '--type', 'merge', '-p', '{}', '-o', 'json'], yaml);
  return json.split(/(?<=^\})\n(?=\{)/m).map((text) => JSON.parse(text) as KubeObject);
}

function kubectl(args: readonly string[], input?: string): string {
  try {
    return execFileSync('kubectl', args, {
      input,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr?: string };
    const why =
      code === 'ENOENT'
        ? 'it is not on PATH: install kubectl 1.24 or newer (no cluster is needed; the kubernetes-client of Debian 12 is too old)'
        : stderr;
    throw new Error(`kubectl ${args[0]}: ${why}`, { cause: error });
  }
}
