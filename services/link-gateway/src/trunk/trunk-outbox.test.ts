import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import { READ_MEMORY } from '@spanmesh/dmsg-socket/socket/read-memory';
import { describe, expect, it } from 'vitest';
import { FREE_WINDOW, OutWindow } from './credit.ts';
import { TrunkOutbox } from './trunk-outbox.ts';

describe('messages sent on a trunk', () => {
  it('are copied out of the read buffer while the trunk is not established', () => {
    const outbox = new TrunkOutbox(new OutBuffer(), new OutWindow(FREE_WINDOW));
    const read = READ_MEMORY.subarray(0, 300).fill(1);
    outbox.pass(read, 100, 200);
    read.fill(2);
    const socket = new OutBuffer();
    outbox.switchTo(socket);
    expect(Buffer.concat(socket.take())).toEqual(Buffer.alloc(100, 1));
    outbox.pass(read, 0, 50);
    expect(socket.take()[0]?.buffer).toBe(read.buffer);
    expect(outbox.window.sent).toBe(150);
  });
});
