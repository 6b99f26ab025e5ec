// Loaded into a service's process before it starts (NODE_OPTIONS --import). It makes outgoing connections come from the
// loopback address TEST_FROM_ADDRESS, so that LoopbackNetwork can tell processes apart. Plain JavaScript, because the
// launcher must run on any Node.
import { Socket } from 'node:net';
import { env } from 'node:process';

const { connect } = Socket.prototype;

Socket.prototype.connect = function (...args) {
  // net.connect passes its arguments in an array; gRPC and NATS use net.connect.
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof options === 'object' && options?.port !== undefined) options.localAddress ??= env.TEST_FROM_ADDRESS;
  return connect.apply(this, args);
};
