import { InspectResponse, type ProcessInfo } from '@spanmesh/proto/v1/process';
import type { Metrics } from '../metrics.ts';
import { settingsRead, unknownRead } from '../settings/setting.ts';

/** Most characters of metrics in a report: they are counted by name, which is bounded, so this is never reached by chance. */
const MAX_METRICS_CHARS = 256 * 1024;
/** Shown in place of a secret. */
const HIDDEN = '(hidden)';
/** A secret that is shorter would be found everywhere by chance. */
const MIN_SECRET_CHARS = 4;

export interface ReportSources {
  /** The process as it is now. */
  readonly info: () => ProcessInfo;
  /** What readSettings has returned for it. */
  readonly settings: object;
  readonly metrics: Pick<Metrics, 'text'>;
  /** Lines of its log, oldest first. */
  readonly logLines: () => readonly string[];
}

/** What a process knows of itself, without anything that is secret: not in a setting, and not where it should never have come to either. */
export async function processReport({ info, settings, metrics, logLines }: ReportSources): Promise<InspectResponse> {
  const read = settingsRead(settings);
  const secrets = read.filter(({ secret, text }) => secret && text.length >= MIN_SECRET_CHARS).map(({ text }) => text);
  const clean = (text: string): string => {
    // What a URL names before its host is a user and a password. A scheme without an end would be looked for from each of its letters.
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
