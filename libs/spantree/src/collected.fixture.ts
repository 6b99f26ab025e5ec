import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

type Objects = Readonly<Record<string, object>>;

/** Runs `make` and returns the names of those of its objects that something still references afterwards. */
export async function kept(make: () => Objects): Promise<string[]> {
  const refs = weakly(make);
  // A WeakRef keeps its object alive until the turn that made it is over.
  await setImmediate();
  collect();
  return refs.filter(([, ref]) => ref.deref() !== undefined).map(([name]) => name);
}

/** A function of its own, because `kept` awaits, and a function that awaits keeps its local values alive. */
function weakly(make: () => Objects): [name: string, ref: WeakRef<object>][] {
  return Object.entries(make()).map(([name, object]) => [name, new WeakRef(object)]);
}
