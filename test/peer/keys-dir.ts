import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CryptKeys, makeKeys, type PeerKeys } from './crypt.ts';

/** A keys directory for the router, in the layout of the reference (protocol.md, "Crypto"), and the keys of a peer. */
export class KeysDir {
  readonly path = mkdtempSync(join(tmpdir(), 'spanmesh-keys-'));
  readonly router: PeerKeys;
  readonly peer: PeerKeys;

  /** `files`: name in remote/ → content. The markers of `World` (127.0.0.253 and .254) may connect in plaintext. */
  constructor(files: Record<string, string> = {}, router = makeKeys(), peer = makeKeys()) {
    this.router = router;
    this.peer = peer;
    this.write('rsa.prv', router.prv);
    this.write('rsa.pub', router.pub);
    this.write('remote/127.0.0.252_30.none', '');
    for (const [name, content] of Object.entries(files)) this.write(`remote/${name}`, content);
  }

  /** The keys of a peer that the router accepts. */
  get crypt(): CryptKeys {
    return { own: this.peer.own, peer: this.router.shown };
  }

  write(file: string, content: string): void {
    const path = join(this.path, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
