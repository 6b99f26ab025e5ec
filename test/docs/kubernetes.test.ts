import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { secretsMadeByHand } from '../deploy/hand-made-secrets.ts';
import { render } from '../deploy/kustomize.ts';

const root = join(import.meta.dirname, '../..');
const document = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');

/** Commands of the document's ```console blocks that need no cluster, in order, with their continuation lines. */
function commandsWithoutCluster(): string[] {
  const blocks = [...document.matchAll(/^```console\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  const commands = blocks.flatMap((block) =>
    [...block.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, command]) => command!.replaceAll(/\\\n */g, ' ')),
  );
  return commands.filter((command) =>
    /^(npx spanmesh (keys|certs|tokens)|mkdir|openssl|grep|for s in|kubectl create secret)/.test(command),
  );
}

/** The kustomizations in the document, by their directory. */
function kustomizations(): Map<string, string> {
  const blocks = [...document.matchAll(/^```text\n# \.\.\/([\w-]+)\/kustomization\.yaml\n([\s\S]*?)^```/gm)];
  return new Map(blocks.map(([, directory, text]) => [directory!, text!]));
}

describe('docs/kubernetes.md', () => {
  let home: string;
  let secrets: ReadonlyMap<string, readonly string[]>;

  beforeAll(() => {
    home = realpathSync(mkdtempSync(join(tmpdir(), 'spanmesh-docs-')));
    mkdirSync(join(home, 'clone'));
    for (const peer of ['from-vol1', 'from-vol2']) {
      mkdirSync(join(home, 'clone', peer));
      writeFileSync(join(home, 'clone', peer, 'rsa.pub'), 'a public key');
    }
    // Secrets are written to files instead of a cluster.
    const script = commandsWithoutCluster()
      .map((command) =>
        command.replaceAll(/(kubectl create secret [^;|]*?)(?= --dry-run| \||;|$)/g, '$1 --dry-run=client -o json'),
      )
      .map((command) => command.replace(/ --dry-run=client -o yaml \| kubectl replace -f -$/, ''))
      .join('\n');
    const spanmesh = `npx() { shift; '${process.execPath}' '${join(root, 'services/ctl/bin/spanmesh.js')}' "$@"; }`;
    const printed = execFileSync('bash', ['-euo', 'pipefail', '-c', `${spanmesh}\n${script}`], {
      cwd: join(home, 'clone'),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const objects = [...printed.matchAll(/^\{\n[\s\S]*?^\}$/gm)].map(
      ([json]) => JSON.parse(json) as { metadata: { name: string }; data: Record<string, string> },
    );
    secrets = new Map(objects.map(({ metadata, data }) => [metadata.name, Object.keys(data).sort()]));
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it('creates every Secret that production needs, with the keys of its table', () => {
    const table = secretsMadeByHand();
    const asked = JSON.stringify(render('production')).matchAll(
      /"(?:secretName|name)":"(spanmesh-(?:tls-|nats|keys|peers|api-)[\w-]*)"/g,
    );
    for (const name of new Set([...asked].map(([, secret]) => secret!))) {
      expect(secrets.get(name), name).toBeDefined();
      if (name !== 'spanmesh-peers') expect(secrets.get(name)).toEqual([...(table.get(name) ?? [])].sort());
    }
    expect(secrets.get('spanmesh-peers')).toEqual(['192.0.2.11.pub', '192.0.2.12.pub']);
  });

  it('creates certificates by hand for every name that cert-manager’s certificates have', () => {
    const certificates = render('production', ['cert-manager']).filter(({ spec }) => spec?.dnsNames !== undefined);
    expect(certificates.length).toBeGreaterThan(4);
    for (const { spec } of certificates) {
      const file = spec.secretName!.replace('spanmesh-tls-', '');
      const own = new X509Certificate(readFileSync(join(home, 'clone/tls', `${file}.crt`)));
      for (const name of spec.dnsNames!) expect(own.checkHost(name), `${file}: ${name}`).toBe(name);
    }
  });

  it('shows overlays that kustomize accepts', () => {
    cpSync(join(root, 'deploy/k8s'), join(home, 'spanmesh/deploy/k8s'), { recursive: true });
    const shown = kustomizations();
    expect([...shown.keys()]).toEqual(['my-spanmesh', 'my-second']);
    for (const [directory, text] of shown) {
      mkdirSync(join(home, directory));
      writeFileSync(
        join(home, directory, 'kustomization.yaml'),
        text.replaceAll('sha256:…', `sha256:${'0'.repeat(64)}`),
      );
      if (directory === 'my-second') {
        const [, sed] = /^\$ (sed s\S+ \S*permissions\.conf > .*)$/m.exec(document) ?? [];
        execFileSync('sh', ['-c', sed ?? 'false'], { cwd: join(home, 'spanmesh') });
      }
      const yaml = execFileSync('kubectl', ['kustomize', join(home, directory)], { encoding: 'utf8' });
      if (directory === 'my-spanmesh') {
        expect(yaml).toContain(`image: registry.example.org/spanmesh@sha256:${'0'.repeat(64)}`);
        expect(yaml).not.toMatch(/image: (spanmesh|nats):/);
      } else {
        expect(yaml).not.toContain('namespace: spanmesh');
        expect(yaml).toContain('SPANMESH_INSTALLATION: second');
        expect(yaml).toContain('"$KV.second-leases.topology"');
        expect(yaml).not.toContain('$KV.spanmesh');
      }
    }
  });

  it('leaves no secret file that git would add', () => {
    const made = execFileSync('ls', ['-1'], { cwd: join(home, 'clone'), encoding: 'utf8' })
      .trim()
      .split('\n');
    const ignored = (name: string) => {
      try {
        execFileSync('git', ['check-ignore', '-q', '--no-index', name], { cwd: root });
        return true;
      } catch {
        return false;
      }
    };
    expect(made.filter((name) => !name.startsWith('from-') && !ignored(name) && !ignored(`${name}/`))).toEqual([]);
  });
});
