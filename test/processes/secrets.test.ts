import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { createApiToken } from '@spanmesh/runtime/access/api-tokens';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ServiceProcess } from '../peer/installation.ts';
import { KeysDir } from '../peer/keys-dir.ts';

const operator = createApiToken({ name: 'operator', role: 'operate' });
const stranger = createApiToken({ name: 'stranger', role: 'operate' });

let directory: string;
let keys: KeysDir;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-secrets-'));
  keys = new KeysDir();
});
afterAll(() => {
  rmSync(directory, { recursive: true });
  keys.remove();
});

const file = (name: string) => join(directory, name);

/** The lines of a PEM file that contain the secret. */
const linesOf = (pem: string) => pem.split('\n').filter((line) => line.length > 40);

it('no process and no command prints tokens or private keys, at any log level', async () => {
  expect(await main(['certs', 'init', file('tls')], new RecordingTerminal())).toBe(0);
  writeFileSync(file('tokens'), `${operator.line}\n`);
  // Wrong contents on purpose: a raw token instead of a line for it, a private key instead of a public one.
  writeFileSync(file('raw-tokens'), `operator operate ${operator.token}\n`);
  keys.write('remote/127.0.0.2.pub', keys.peer.prv);
  const dmsg = await freePort();
  const settings = {
    SPANMESH_LOG_LEVEL: 'trace',
    SPANMESH_DATA_DIR: '',
    SPANMESH_DMSG_LISTEN: `127.0.0.1:${dmsg}`,
    SPANMESH_KEYS_DIR: keys.path,
    SPANMESH_API_TLS_CERT: file('tls/api.crt'),
    SPANMESH_API_TLS_KEY: file('tls/api.key'),
    SPANMESH_API_TOKENS_FILE: file('tokens'),
  };
  const said: string[] = [];

  for (const wrong of [
    { SPANMESH_API_TLS_CERT: file('tls/api.key') },
    { SPANMESH_API_TLS_KEY: file('tls/api.crt') },
    { SPANMESH_API_TOKENS_FILE: file('raw-tokens') },
    // A private key in place of the file of tokens.
    { SPANMESH_API_TOKENS_FILE: file('tls/api.key') },
  ]) {
    const refused = await ServiceProcess.start('standalone', { ...settings, ...wrong });
    await new Promise((resolve) => refused.child.once('close', resolve));
    expect(refused.child.exitCode).not.toBe(0);
    expect(refused.output).not.toBe('');
    said.push(refused.output);
  }

  const standalone = await ServiceProcess.start('standalone', settings);
  try {
    await standalone.ready();
    for (const { token } of [operator, stranger]) {
      writeFileSync(file('mine'), token);
      const terminal = new RecordingTerminal();
      const where = ['--address', `127.0.0.1:${standalone.ports.grpc}`, '--ca', file('tls/ca.crt')];
      const code = await main(['tree', ...where, '--token-file', file('mine')], terminal);
      expect(code === 0).toBe(token === operator.token);
      said.push(terminal.printed, terminal.noted);
    }
    for (const localAddress of ['127.0.0.2', '127.0.0.3']) {
      const socket = connect({ host: '127.0.0.1', port: dmsg, localAddress });
      socket.on('error', () => {}).resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    said.push(await (await fetch(`http://127.0.0.1:${standalone.ports.http}/metrics`)).text());
  } finally {
    await standalone.stop();
  }
  said.push(standalone.output);
  const everything = said.join('\n');
  for (const word of ['bad-key', 'no-key', 'call refused', 'line 1']) expect(everything).toContain(word);

  for (const { token } of [operator, stranger]) {
    expect(everything).not.toContain(token);
    expect(everything).not.toContain(token.slice(4, 24));
  }
  const secrets = [keys.router.prv, keys.peer.prv, readFileSync(file('tls/api.key'), 'utf8')];
  for (const line of secrets.flatMap(linesOf)) expect(everything).not.toContain(line.slice(0, 20));
  expect(everything).not.toMatch(/BEGIN [A-Z ]*PRIVATE/);
});
