import type { MethodDefinition } from '@grpc/grpc-js';

/** The traffic of a method on the server's side: encoded messages, without the framing of HTTP/2. */
export class GrpcTraffic {
  messagesIn = 0;
  messagesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
}

/** The method with its traffic counted, where messages are encoded anyway: two additions for each. */
export function countedMethod<Request, Response>(
  method: MethodDefinition<Request, Response>,
  traffic: GrpcTraffic,
): MethodDefinition<Request, Response> {
  return {
    ...method,
    requestDeserialize(bytes) {
      traffic.messagesIn++;
      traffic.bytesIn += bytes.length;
      return method.requestDeserialize(bytes);
    },
    responseSerialize(response) {
      const bytes = method.responseSerialize(response);
      traffic.messagesOut++;
      traffic.bytesOut += bytes.length;
      return bytes;
    },
  };
}
