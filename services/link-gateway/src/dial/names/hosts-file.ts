import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** RFC 6761: nobody is asked for it. */
const LOCALHOST = ['127.0.0.1', '::1'];

/**
 * Names that are pinned on this host (hosts(5)). Read when it has changed, without libuv's pool: a look-up must not wait for what else
 * the pool does.
 */
export class HostsFile {
  readonly #path: string;
  #version = '';
  #addresses = new Map<string, string[]>();

  constructor(path = '/etc/hosts') {
    this.#path = path;
  }

  /** The addresses of a name in lower case, in the order of the file; empty: it is not pinned. `localhost` always is. */
  addressesOf(name: string): readonly string[] {
    this.#refresh();
    const bare = name.endsWith('.') ? name.slice(0, -1) : name;
    return this.#addresses.get(bare) ?? (/^(.*\.)?localhost$/.test(bare) ? LOCALHOST : []);
  }

  #refresh(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version === this.#version) return;
      this.#addresses = parseHosts(readFileSync(this.#path, 'utf8'));
      this.#version = version;
    } catch {
      // No file pins no names.
      this.#addresses = new Map();
      this.#version = '';
    }
  }
}

/** By name, in lower case. */
export function parseHosts(text: string): Map<string, string[]> {
  const addresses = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || isIP(address) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = addresses.get(key);
      if (known === undefined) addresses.set(key, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return addresses;
}
