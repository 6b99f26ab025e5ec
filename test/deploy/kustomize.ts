import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { KubeObject } from './kube-object.ts';

export const MANIFESTS = join(import.meta.dirname, '../../deploy/k8s');

/**
 * What `kubectl apply -k` would send: an overlay, with further components on top as a user's own overlay adds them. No cluster is
 * asked.
 */
export function render(overlay: string, components: readonly string[] = []): KubeObject[] {
  const directory = join(MANIFESTS, 'overlays', overlay);
  if (components.length === 0) return objectsOf(kubectl(['kustomize', directory]));
  const own = realpathSync(mkdtempSync(join(tmpdir(), 'overlay-')));
  try {
    // JSON is YAML. Kustomize takes relative paths only.
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'spanmesh',
      resources: [relative(own, directory)],
      components: components.map((name) => relative(own, join(MANIFESTS, 'components', name))),
    };
    writeFileSync(join(own, 'kustomization.yaml'), JSON.stringify(kustomization));
    return objectsOf(kubectl(['kustomize', own]));
  } finally {
    rmSync(own, { recursive: true });
  }
}

/** YAML documents as objects: kubectl reads them, an empty patch changes nothing, and it writes JSON. */
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
        ? 'it is not on PATH: install kubectl 1.21 or newer (no cluster is needed; the kubernetes-client of Debian 12 is too old)'
        : stderr;
    throw new Error(`kubectl ${args[0]}: ${why}`, { cause: error });
  }
}
