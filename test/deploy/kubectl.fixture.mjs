#!/usr/bin/env node
// A substitute for kubectl and a cluster. It prints its arguments and folder, fails at the command that $FAILS names,
// and forwards ports to a controller that runs beside it, once the file $CONTROLLER contains its ports.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';

const asked = process.argv.slice(2).join(' ');
appendFileSync(`${process.env.ASKED}.in`, `${process.cwd()}\n`);
appendFileSync(process.env.ASKED, `${asked}\n`);
if (process.env.FAILS !== '' && asked.includes(process.env.FAILS)) {
  console.error('error: it is said to fail');
  process.exitCode = 1;
} else if (asked.includes(' port-forward ')) {
  const [local, remote] = asked.split(' ').at(-1).split(':');
  while (!existsSync(process.env.CONTROLLER)) await later(20);
  const { dmsg, grpc } = JSON.parse(readFileSync(process.env.CONTROLLER, 'utf8'));
  const target = remote === '987' ? dmsg : grpc;
  const [host, port] = target.split(':');
  createServer((socket) => {
    const other = connect(Number(port), host);
    socket.pipe(other).pipe(socket);
    for (const one of [socket, other])
      one.on('error', () => {}).on('close', () => [socket, other].map((end) => end.destroy()));
  }).listen(Number(local), '127.0.0.1', () => console.log(`Forwarding from 127.0.0.1:${local} -> ${remote}`));
}
