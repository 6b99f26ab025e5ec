import { LinkOpened } from '@spanmesh/proto/v1/gateway_control';
import type { Step, Tracer } from '@spanmesh/runtime/trace/step';
import { TRACE_CONTEXT_BYTES } from '@spanmesh/runtime/trace/trace-context';
import type { Link } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { Gateway } from '../trees/gateway.ts';
import { LinkTraces } from './link-traces.ts';

const MAX_LINK_TRACES = 4096;
const PARENT = Buffer.alloc(TRACE_CONTEXT_BYTES, 7);

function world({ links = 1 } = {}) {
  const ended: (string | undefined)[] = [];
  const step: Step = { context: Buffer.alloc(TRACE_CONTEXT_BYTES, 9), note: () => {}, end: (why) => ended.push(why) };
  const parents: (Uint8Array | null | undefined)[] = [];
  const tracer: Tracer = {
    begin: (_, { parent } = {}) => {
      parents.push(parent);
      return step;
    },
    stop: async () => {},
  };
  const gateway = new Gateway('a', '00000001', '', '');
  for (let id = 1; id <= links; id++) gateway.links.set(id, { id } as Link);
  return { traces: new LinkTraces({ tracing: { tracer } }), gateway, parents, ended, step };
}

const opened = (id: number, trace: Buffer | undefined = PARENT) => LinkOpened.fromPartial({ id, trace });

describe('the trace of a link', () => {
  it('continues until the link’s relays are selected', () => {
    const { traces, gateway, parents, ended, step } = world();
    traces.opened(gateway, [opened(1)]);
    const link = gateway.links.get(1)!;
    expect([parents, traces.of(link)]).toEqual([[PARENT], step.context]);
    traces.decided();
    expect([ended, traces.of(link), traces.size]).toEqual([[undefined], undefined, 0]);
    traces.opened(gateway, [opened(1)]);
    traces.decided('it does not lead');
    expect(ended).toEqual([undefined, 'it does not lead']);
  });

  it('is continued once, though the link is told twice', () => {
    const { traces, gateway, parents, ended } = world();
    traces.opened(gateway, [opened(1), opened(1)]);
    traces.opened(gateway, [opened(1)]);
    traces.decided();
    expect([parents.length, ended.length]).toEqual([1, 1]);
  });

  it('does not exist for a link that was dropped, for an invalid context, or where tracing is off', () => {
    const { traces, gateway, parents } = world();
    traces.opened(gateway, [opened(2), opened(1, Buffer.alloc(3)), LinkOpened.fromPartial({ id: 1 })]);
    expect(parents).toEqual([]);
    const nobody = new LinkTraces({});
    nobody.opened(gateway, [opened(1)]);
    expect(nobody.size).toBe(0);
  });

  // Limits: attach/link-traces.ts MAX_LINK_TRACES
  it('is limited in number, one for each link', () => {
    const { traces, gateway, ended } = world({ links: MAX_LINK_TRACES + 1 });
    const all = [...gateway.links.keys()].map((id) => opened(id));
    traces.opened(gateway, [...all, ...all]);
    expect(traces.size).toBe(MAX_LINK_TRACES);
    traces.decided();
    expect(ended).toHaveLength(MAX_LINK_TRACES);
  });
});
