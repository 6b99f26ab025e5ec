// Loaded into a service's process before it starts (NODE_OPTIONS --import): its outgoing connections come from the loopback address
// TEST_FROM_ADDRESS, so that LoopbackNetwork can tell processes apart. Plain JavaScript, as the launcher is: any Node takes it.
import { Socket } from 'node:net';
import { env } from 'node:process';

const { connect } = Socket.prototype;

Socket.prototype.connect = function (...args) {
  // net.connect hands over its arguments in an array, gRPC and NATS end there.
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof options === 'object' && options?.port !== undefined) options.localAddress ??= env.TEST_FROM_ADDRESS;
  return connect.apply(this, args);
};
