import { Client } from '@grpc/grpc-js';
import { GetTreeRequest, type TopologyClient } from '@spanmesh/proto/v1/topology';
import { PLAINTEXT } from '@spanmesh/runtime/grpc/grpc-client';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { TopologyApi, treeSourceOf } from './tree-source.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the source of span trees', () => {
  it('asks topology, and cancels the call of a shell that has gone', () => {
    const asked: unknown[] = [];
    const call = { cancel: vi.fn() };
    const api = {
      getTree: (request: unknown) => {
        asked.push(request);
        return call;
      },
    } as unknown as TopologyClient;
    const gone = new AbortController();
    const request = GetTreeRequest.create();
    expect(treeSourceOf(() => api)(request, gone.signal)).toBe(call);
    expect([asked, call.cancel.mock.calls.length]).toEqual([[request], 0]);
    gone.abort();
    expect(call.cancel).toHaveBeenCalledOnce();
  });

  it('fails while topology is not known', () => {
    const source = treeSourceOf(() => null);
    expect(() => source(GetTreeRequest.create(), new AbortController().signal)).toThrow('the API is not up yet');
  });
});

describe('the client of topology', () => {
  it('follows the address of the leader, and closes the channel to the former one', () => {
    const close = vi.spyOn(Client.prototype, 'close');
    let address: string | null = null;
    const api = new TopologyApi({ address: () => address, security: PLAINTEXT });
    expect(api.client()).toBeNull();
    api.close();
    address = '127.0.0.1:1';
    const first = api.client();
    expect(first?.getChannel().getTarget()).toContain('127.0.0.1:1');
    expect(api.client()).toBe(first);
    // Nobody is known to lead: the last one may still answer.
    address = null;
    expect(api.client()).toBe(first);
    expect(close).not.toHaveBeenCalled();
    address = '127.0.0.1:2';
    const second = api.client();
    expect(second?.getChannel().getTarget()).toContain('127.0.0.1:2');
    expect(close.mock.contexts).toEqual([first]);
    api.close();
    expect(close.mock.contexts).toEqual([first, second]);
  });
});
