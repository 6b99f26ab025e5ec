import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

type Objects = Readonly<Record<string, object>>;

/** Names of those objects that `make` gives which somebody still keeps after it has returned. */
export async function kept(make: () => Objects): Promise<string[]> {
  const refs = weakly(make);
  // An object whose reference was made in this turn is kept until the turn is over.
  await setImmediate();
  collect();
  return refs.filter(([, ref]) => ref.deref() !== undefined).map(([name]) => name);
}

/** Not within `kept`: a function that waits keeps what it has at hand. */
function weakly(make: () => Objects): [name: string, ref: WeakRef<object>][] {
  return Object.entries(make()).map(([name, object]) => [name, new WeakRef(object)]);
}
