/** An address to listen on or to connect to. `host` is bare (no brackets around an IPv6 address). */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** TCP's largest port. */
const MAX_PORT = 65535;
/** RFC 1035: longest host name, in characters. Checked before the pattern, so that a long text costs nothing. */
const MAX_HOST_LENGTH = 253;
const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/;
const IPV6 = /^[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?$/;

/**
 * Reads `127.0.0.1:9987`, `host:1` or `[::1]:9987`.
 * `minPort` 0 is for addresses to listen on, where 0 means any free port.
 * Throws an Error whose message says what is wrong, without repeating the text.
 */
export function parseHostPort(text: string, { minPort = 1 }: { minPort?: number } = {}): HostPort {
  const colon = text.lastIndexOf(':');
  if (colon < 0) {
    throw new Error('must be host:port');
  }
  const host = parseHost(text.slice(0, colon));
  const digits = text.slice(colon + 1);
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : -1;
  if (port < minPort || port > MAX_PORT) {
    throw new Error(`port must be ${minPort}..${MAX_PORT}`);
  }
  return { host, port };
}

/** The inverse of parseHostPort: IPv6 addresses get their brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseHost(text: string): string {
  if (text === '') {
    throw new Error('host is missing');
  }
  if (text.length > MAX_HOST_LENGTH) {
    throw new Error(`host is longer than ${MAX_HOST_LENGTH} characters`);
  }
  if (text.startsWith('[') && text.endsWith(']')) {
    const host = text.slice(1, -1);
    if (!host.includes(':') || !IPV6.test(host)) {
      throw new Error('host in brackets must be an IPv6 address');
    }
    return host;
  }
  if (text.includes(':')) {
    throw new Error('an IPv6 address must stand in brackets, as in [::1]:987');
  }
  if (!HOST_NAME.test(text)) {
    throw new Error('host must be a name or an address');
  }
  return text;
}

/**
 * True for addresses that only this host reaches: 127.0.0.0/8, ::1, and the name localhost. Other names may resolve to
 * any address.
 */
export function isLoopbackHost(host: string): boolean {
  return /^(localhost|::1|(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i.test(host);
}
