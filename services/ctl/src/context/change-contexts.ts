import { resolve } from 'node:path';
import { Failure } from '../failure.ts';
import type { TableOptions } from '../list-options.ts';
import { type Listed, printList } from '../output/print-list.ts';
import { printable } from '../output/printable.ts';
import type { Column } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { type Context, checkName, contextOf, readContexts, writeContexts } from './contexts.ts';

type Row = Context & { readonly name: string; readonly isCurrent: boolean };

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'CURRENT', text: ({ isCurrent }) => (isCurrent ? '*' : ' ') },
  { heading: 'CONTEXT', text: ({ name }) => printable(name), role: () => 'node' },
  { heading: 'ADDRESS', text: ({ address }) => printable(address) },
  { heading: 'CA', narrow: 'cut', text: ({ ca = '' }) => printable(ca) },
  { heading: 'CERT', narrow: 'cut', text: ({ cert = '' }) => printable(cert) },
  { heading: 'KEY', isWide: true, text: ({ key = '' }) => printable(key) },
  { heading: 'TOKEN FILE', narrow: 'cut', text: ({ tokenFile = '' }) => printable(tokenFile) },
];

/**
 * Stores a context under a name, replacing one of that name. The first context becomes the one in use.
 * @throws Failure usage
 */
export function addContext(name: string, context: Context, { env }: Pick<Terminal, 'env'>): void {
  checkName(name);
  const { current, contexts } = readContexts(env);
  writeContexts(env, { current: current ?? name, contexts: { ...contexts, [name]: absolute(context) } });
}

/** @throws Failure usage */
export function useContext(name: string, { env }: Pick<Terminal, 'env'>): void {
  contextOf(env, name);
  writeContexts(env, { ...readContexts(env), current: name });
}

/** @throws Failure usage */
export function removeContext(name: string, { env }: Pick<Terminal, 'env'>): void {
  contextOf(env, name);
  const { current, contexts } = readContexts(env);
  const rest = Object.fromEntries(Object.entries(contexts).filter(([other]) => other !== name));
  writeContexts(env, { current: current === name ? null : current, contexts: rest });
}

/** @throws Failure usage */
export function listContexts(options: TableOptions, terminal: Terminal): Promise<void> {
  const fetch = async (): Promise<Listed<Row>> => {
    const { current, contexts } = readContexts(terminal.env);
    const rows = Object.entries(contexts).map(([name, context]) => ({ ...context, name, isCurrent: name === current }));
    return {
      rows,
      document: (shown) => ({
        current,
        contexts: Object.fromEntries(shown.map(({ name, isCurrent: _, ...context }) => [name, context])),
      }),
    };
  };
  return printList({ columns: COLUMNS, fetch }, options, terminal);
}

/** Makes paths absolute, since the next command may be typed in another directory. */
function absolute({ address, ca, cert, key, tokenFile }: Context): Context {
  if ((cert === undefined) !== (key === undefined)) throw new Failure('usage', 'give both, --cert and --key');
  return {
    address,
    ...(ca !== undefined && { ca: ca === 'system' ? ca : resolve(ca) }),
    ...(cert !== undefined && { cert: resolve(cert) }),
    ...(key !== undefined && { key: resolve(key) }),
    ...(tokenFile !== undefined && { tokenFile: resolve(tokenFile) }),
  };
}
