import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { World } from '../peer/world.ts';
import { tshark } from './tshark.ts';

let directory: string;
let world: World;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-capture-'));
  world = await World.start({ markers: 'circuit' });
});
afterEach(async () => {
  await world.stop();
  rmSync(directory, { recursive: true });
});

const spanmesh = async (terminal: RecordingTerminal, ...args: string[]) => {
  const code = await main([...args, '--address', `127.0.0.1:${world.standalone.grpcPort}`], terminal);
  expect([code, terminal.noted]).toEqual([0, expect.any(String)]);
  return terminal;
};

it('`spanmesh capture` writes the messages that pass, and Wireshark shows their names', async () => {
  const node = await EchoNode.start(world.port('linkid'), 'linkid', 1);
  try {
    const list = await spanmesh(new RecordingTerminal(), 'conns', '--dialect', 'linkid', '-o', 'json');
    const [connection] = (JSON.parse(list.printed) as { connections: { id: string }[] }).connections;
    const out = join(directory, 'x.pcapng');
    const terminal = new RecordingTerminal();
    const done = spanmesh(terminal, 'capture', connection!.id, '--count', '4', '--out', out);
    await terminal.until(() => terminal.noted.includes('capturing'));
    // More bytes than one of our packets has; the echo returns them unchanged.
    const aux = join(directory, 'aux');
    writeFileSync(aux, Buffer.alloc(60_000, 0x61));
    const command = `0x${ECHO.toString(16).padStart(8, '0')}`;
    await spanmesh(new RecordingTerminal(), 'send', 'echo1', '--command', command, '--aux', `@${aux}`);
    await done;
    expect(terminal.noted).toContain('4 messages captured, 0 dropped');
    // Messages of peers are confidential: only the owner may read the file.
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const fields = ['_ws.malformed', 'dmsg.dialect', 'dmsg.command', 'dmsg.flag_names', 'dmsg.aux_size'];
    const packets = await tshark(readFileSync(out), { fields });
    const messages = packets.filter((packet) => packet.get('dmsg.command') !== '');
    expect(packets.map((packet) => packet.get('_ws.malformed')).join('')).toBe('');
    expect(messages.map((packet) => fields.slice(1).map((field) => packet.get(field)))).toMatchInlineSnapshot(`
      [
        [
          "linkid",
          "LNK_SPAN",
          "CREATE",
          "0",
        ],
        [
          "linkid",
          "0x100202",
          "CREATE|DELETE",
          "60032",
        ],
        [
          "linkid",
          "0x100202",
          "CREATE|DELETE|REPLY",
          "60032",
        ],
        [
          "linkid",
          "LNK_ERROR",
          "DELETE",
          "0",
        ],
      ]
    `);
  } finally {
    await node.stop();
  }
});
