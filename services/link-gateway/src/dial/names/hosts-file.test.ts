import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { HostsFile, parseHosts } from './hosts-file.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

describe('the hosts file', () => {
  it('pins names to addresses, whatever their case, comments aside', () => {
    const text =
      '127.0.0.1\tlocalhost Good.example # 1.1.1.1 no\n::1 localhost\n# 192.0.2.1 no\nnonsense name\n\n192.0.2.1';
    expect(Object.fromEntries(parseHosts(text))).toEqual({
      localhost: ['127.0.0.1', '::1'],
      'good.example': ['127.0.0.1'],
    });
  });

  it('is read again when it has changed, and may be missing', () => {
    const directory = mkdtempSync(join(tmpdir(), 'spanmesh-hosts-'));
    directories.push(directory);
    const path = join(directory, 'hosts');
    const hosts = new HostsFile(path);
    expect(hosts.addressesOf('a')).toEqual([]);
    writeFileSync(path, '192.0.2.1 a\n');
    expect(hosts.addressesOf('a')).toEqual(['192.0.2.1']);
    writeFileSync(path, '192.0.2.1 a\n192.0.2.2 a\n');
    expect(hosts.addressesOf('a')).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(hosts.addressesOf('a.')).toEqual(['192.0.2.1', '192.0.2.2']);
    rmSync(path);
    expect(hosts.addressesOf('a')).toEqual([]);
    expect([hosts.addressesOf('localhost'), hosts.addressesOf('notlocalhost')]).toEqual([['127.0.0.1', '::1'], []]);
  });
});
