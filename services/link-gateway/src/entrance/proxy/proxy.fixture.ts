import { addressBytes } from '@spanmesh/dmsg-socket/address/numeric-address';

/** A PROXY header of version 2, as a balancer sends it; `family` and `command` as they should be unless given. */
export function proxyHeader(
  host: string,
  port: number,
  { command = 0x21, family, extras = Buffer.alloc(0) }: { command?: number; family?: number; extras?: Uint8Array } = {},
): Buffer {
  // A mapped address travels as IPv6.
  const bytes = host.startsWith('::ffff:')
    ? Buffer.concat([Buffer.alloc(10), Buffer.of(0xff, 0xff), addressBytes(host)!.slice(-4)])
    : Buffer.from(addressBytes(host)!);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port, 0);
  ports.writeUInt16BE(987, 2);
  const body = Buffer.concat([bytes, Buffer.alloc(bytes.length, 7), ports, extras]);
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  head[12] = command;
  head[13] = family ?? (bytes.length === 4 ? 0x11 : 0x21);
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, body]);
}
