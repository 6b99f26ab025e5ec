import { InspectResponse, type ProcessInfo } from '@spanmesh/proto/v1/process';
import type { Metrics } from '../metrics.ts';
import { settingsRead, unknownRead } from '../settings/setting.ts';

/**
 * Most characters of metrics in a report. The number of metrics is limited, so an ordinary process never reaches this.
 */
const MAX_METRICS_CHARS = 256 * 1024;
/** Shown in place of a secret. */
const HIDDEN = '(hidden)';
/** Shorter secrets are not searched for: they would be found everywhere by chance. */
const MIN_SECRET_CHARS = 4;

export interface ReportSources {
  /** The present state of the process. */
  readonly info: () => ProcessInfo;
  /** What readSettings has returned for it. */
  readonly settings: object;
  readonly metrics: Pick<Metrics, 'text'>;
  /** Lines of its log, oldest first. */
  readonly logLines: () => readonly string[];
}

/**
 * The report of a process about itself, without any secret: neither in a setting, nor anywhere else that a secret
 * should never have reached.
 */
export async function processReport({ info, settings, metrics, logLines }: ReportSources): Promise<InspectResponse> {
  const read = settingsRead(settings);
  const secrets = read.filter(({ secret, text }) => secret && text.length >= MIN_SECRET_CHARS).map(({ text }) => text);
  const clean = (text: string): string => {
    // A URL may have a user and a password before its host. The length of the scheme is limited, or the search would
    // start anew at each of its letters.
    const withoutUsers = text.replace(/([a-z][a-z0-9+.-]{0,30}:\/\/)[^/@\s"]+@/gi, `$1${HIDDEN}@`);
    return secrets.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), withoutUsers);
  };
  return InspectResponse.fromPartial({
    process: info(),
    settings: read.map(({ env, text, source, secret }) => ({
      name: env,
      value: secret ? '' : clean(text),
      source,
      secret,
    })),
    unknownSettings: unknownRead(settings).map(({ variable, meant }) => ({ name: variable, meant: meant ?? '' })),
    metrics: clean((await metrics.text()).slice(0, MAX_METRICS_CHARS)),
    logLines: logLines().map(clean),
    runtime: `node ${process.version} ${process.platform} ${process.arch}`,
  });
}
