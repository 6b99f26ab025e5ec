import type { Clock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import type { Logger } from '../log/logger.ts';
import { parseTlsMaterial, type TlsFileNames, type TlsMaterial } from './tls-material.ts';
import { WatchedFiles } from './watched-files.ts';

/** The certificates of one side, read again when they change. */
export type TlsFiles = WatchedFiles<TlsMaterial>;

/**
 * Reads them now, and again when they change (once started). `check` may refuse what could be used otherwise.
 * @throws TlsError
 */
const EMPTY = Buffer.alloc(0);

export function watchTlsFiles(
  names: TlsFileNames,
  deps: { readonly clock: Clock; readonly logger: Logger; readonly events?: EventTeller },
  check: (material: TlsMaterial) => void = () => {},
): TlsFiles {
  const { ca, cert, key } = names;
  return new WatchedFiles(
    {
      files: ca === null ? [cert, key] : [cert, key, ca],
      parse: ([certPem = EMPTY, keyPem = EMPTY, caPem = null]) => {
        const pem = { cert: certPem, key: keyPem, ca: caPem };
        const material = parseTlsMaterial(names, pem, deps.clock.wall());
        check(material);
        return material;
      },
    },
    deps,
  );
}
