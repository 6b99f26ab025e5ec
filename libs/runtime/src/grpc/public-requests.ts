import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** Longest request to a service that answers everybody, bytes. Real ones have a name in them, or a file's name. */
export const MAX_PUBLIC_REQUEST_BYTES = 4096;

/**
 * Decodes a request to a service that answers everybody. A long one is not decoded: that would take time for which no
 * user can be held to account.
 * @throws RangeError
 */
export function decodePublic<Request>(
  method: Pick<MethodDefinition<Request, never>, 'requestDeserialize'>,
  bytes: Buffer,
): Request {
  if (bytes.length > MAX_PUBLIC_REQUEST_BYTES) {
    throw new RangeError(`the request has ${bytes.length} bytes, and ${MAX_PUBLIC_REQUEST_BYTES} are the most here`);
  }
  return method.requestDeserialize(bytes);
}

/** The service, which decodes its requests by `decodePublic`. */
export function publicService(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]): [string, ServiceDefinition[string]] => [
    name,
    { ...method, requestDeserialize: (bytes: Buffer) => decodePublic(method, bytes) },
  ]);
  return Object.fromEntries(methods);
}
