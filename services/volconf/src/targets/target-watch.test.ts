import type { Target as ApiTarget, WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { describe, expect, it } from 'vitest';
import { TargetWatch } from './target-watch.ts';

/** A watch of these targets; `read` lists what its client has received, by name. */
function watchOf(names: string[]) {
  const there = new Set(names);
  const heard = new Map<string, () => void>();
  const made = { read: [] as string[], accepts: true, ended: 0, closed: 0 };
  const watch = new TargetWatch(names, {
    stream: {
      write: ({ target, removed, current }: WatchTargetsResponse) => {
        made.read.push(target?.name ?? (current === true ? 'current' : `-${removed}`));
        return made.accepts;
      },
      end: () => made.ended++,
      on: (event, fn) => heard.set(event, fn),
    },
    show: (name) => (there.has(name) ? ({ name } as ApiTarget) : null),
    onEnd: () => made.closed++,
  });
  const emit = (event: 'drain' | 'cancelled') => heard.get(event)?.();
  return { watch, made, there, emit };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a watch of targets', () => {
  it('sends the existing targets, then `current`, then changes', async () => {
    const { watch, made, there } = watchOf(['a', 'b']);
    expect(made.read).toEqual([]);
    await turn();
    expect(made.read).toEqual(['a', 'b', 'current']);
    there.delete('a');
    there.add('c');
    for (const name of ['a', 'b', 'c', 'b']) watch.changed(name);
    await turn();
    expect(made.read.slice(3)).toEqual(['-a', 'b', 'c']);
    await turn();
    expect(made.read).toHaveLength(6);
  });

  it('does not report a target as gone that it has never sent', async () => {
    const { watch, made, there } = watchOf(['a']);
    there.delete('a');
    watch.changed('b');
    await turn();
    expect(made.read).toEqual(['current']);
    // A target that was sent is reported gone once.
    there.add('a');
    watch.changed('a');
    await turn();
    there.delete('a');
    watch.changed('a');
    await turn();
    watch.changed('a');
    await turn();
    expect(made.read).toEqual(['current', 'a', '-a']);
  });

  it('sends a target once that changes before it was sent at the start', async () => {
    const { watch, made } = watchOf(['a', 'b']);
    watch.changed('b');
    await turn();
    expect(made.read).toEqual(['a', 'b', 'current']);
  });

  it('waits while its client does not read, then sends the present states', async () => {
    const { watch, made, there, emit } = watchOf(['a', 'b']);
    made.accepts = false;
    await turn();
    expect(made.read).toEqual(['a']);
    there.delete('a');
    watch.changed('a');
    await turn();
    expect(made.read).toEqual(['a']);
    emit('drain');
    expect(made.read).toEqual(['a', 'b']);
    made.accepts = true;
    emit('drain');
    expect(made.read).toEqual(['a', 'b', 'current', '-a']);
    watch.changed('b');
    await turn();
    expect(made.read.at(-1)).toBe('b');
  });

  it('ends once, by its replica or by its client', async () => {
    const { watch, made, emit } = watchOf(['a']);
    watch.end();
    watch.end();
    emit('cancelled');
    await turn();
    expect(made).toMatchObject({ read: [], ended: 1, closed: 1 });
    const other = watchOf(['a']);
    other.emit('cancelled');
    other.watch.end();
    other.watch.abandon();
    other.emit('drain');
    await turn();
    expect(other.made).toMatchObject({ read: [], ended: 0, closed: 1 });
  });

  it('that is abandoned sends nothing more, and leaves its stream open', async () => {
    const { watch, made } = watchOf(['a']);
    await turn();
    watch.abandon();
    watch.changed('a');
    await turn();
    expect(made).toMatchObject({ read: ['a', 'current'], ended: 0, closed: 1 });
  });
});
