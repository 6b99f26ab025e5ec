import { describe, expect, it } from 'vitest';
import { countedMethod, GrpcTraffic } from './grpc-traffic.ts';

const TEXT = {
  serialize: (text: string) => Buffer.from(text),
  deserialize: (bytes: Buffer) => bytes.toString(),
};

describe('countedMethod', () => {
  it('counts what a server reads and writes, and leaves it unchanged', () => {
    const traffic = new GrpcTraffic();
    const method = {
      path: '/a/b',
      requestStream: true,
      responseStream: true,
      requestSerialize: TEXT.serialize,
      requestDeserialize: TEXT.deserialize,
      responseSerialize: TEXT.serialize,
      responseDeserialize: TEXT.deserialize,
    };
    const counted = countedMethod(method, traffic);
    expect(counted.requestDeserialize(Buffer.from('four'))).toBe('four');
    expect(counted.requestDeserialize(Buffer.from(''))).toBe('');
    expect(counted.responseSerialize('seven..').toString()).toBe('seven..');
    expect({ ...traffic }).toEqual({ messagesIn: 2, messagesOut: 1, bytesIn: 4, bytesOut: 7 });
    expect(counted).toMatchObject({ path: '/a/b', requestStream: true, responseStream: true });
  });
});
