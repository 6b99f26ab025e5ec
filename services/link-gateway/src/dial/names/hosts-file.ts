import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** Addresses of `localhost`, for which no name server is asked (RFC 6761). */
const LOCALHOST = ['127.0.0.1', '::1'];

/**
 * The hosts file (hosts(5)), which pins names of this host to addresses. It is read again when it has changed, without
 * libuv's thread pool: a look-up must not wait for other work there.
 */
export class HostsFile {
  readonly #path: string;
  #version = '';
  #addresses = new Map<string, string[]>();

  constructor(path = '/etc/hosts') {
    this.#path = path;
  }

  /**
   * The addresses of a name in lower case, in the order of the file; empty: it is not pinned. `localhost` always is.
   */
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
      // Without the file no name is pinned.
      this.#addresses = new Map();
      this.#version = '';
    }
  }
}

/** The addresses of each name, by the name in lower case. */
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
