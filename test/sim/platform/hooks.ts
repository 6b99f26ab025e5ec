import { registerHooks } from 'node:module';

/** What the services import from Node, and what a simulation gives them instead. */
const REPLACED: Readonly<Record<string, string>> = {
  'node:net': './net.ts',
  'node:crypto': './crypto.ts',
};

/** Once, before any module of the services is loaded. What packages import stays as it is. */
export function replaceModules(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const instead = REPLACED[specifier];
      const from = context.parentURL ?? '';
      if (instead === undefined || from.includes('/node_modules/') || from.includes('/test/sim/')) {
        return next(specifier, context);
      }
      return next(new URL(instead, import.meta.url).href, context);
    },
  });
}
