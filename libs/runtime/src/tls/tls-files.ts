import type { Clock } from '../clock.ts';
import type { Logger } from '../log/logger.ts';
import { parseTlsMaterial, type TlsFileNames, type TlsMaterial } from './tls-material.ts';
import { WatchedFiles } from './watched-files.ts';

/** A side's certificates, kept up to date. */
export type TlsFiles = WatchedFiles<TlsMaterial>;

/**
 * Reads them now, and again when they change (once started). `check` may refuse what could be used otherwise.
 * @throws TlsError
 */
export function watchTlsFiles(
  names: TlsFileNames,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  check: (material: TlsMaterial) => void = () => {},
): TlsFiles {
  const { ca, cert, key } = names;
  return new WatchedFiles(
    {
      files: ca === null ? [cert, key] : [cert, key, ca],
      parse: ([certPem, keyPem, caPem]) => {
        const pem = { cert: certPem!, key: keyPem!, ca: caPem ?? null };
        const material = parseTlsMaterial(names, pem, clock.wall());
        check(material);
        return material;
      },
    },
    { clock, logger },
  );
}
