import { PRODUCT_SETTINGS } from './product-settings.ts';

const PREFIX = 'SPANMESH';
/** Longest name that is compared, characters. */
const MAX_NAME_CHARS = 100;
/**
 * Letters by which a name may differ from the one that was meant: this number, or this part of the letters after the
 * prefix, whichever is more.
 */
const MEANT_LETTERS = 2;
const MEANT_PART = 1 / 3;
/**
 * Variables that Kubernetes sets in a container for a Service whose name begins with `spanmesh`, unless
 * `enableServiceLinks` is false.
 */
const SERVICE_LINK =
  /^SPANMESH_(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const SERVICE_URL = /^(?:tcp|udp|sctp):\/\//;

/**
 * Variables that the command line, docker-compose.yml, scripts or tests read: they may be set where services are
 * started.
 */
const OTHERS: ReadonlySet<string> = new Set([
  'SPANMESH_ADDRESS',
  'SPANMESH_CA',
  'SPANMESH_CERT',
  'SPANMESH_CONTEXT',
  'SPANMESH_FUZZ_SECONDS',
  'SPANMESH_HANDED_OVER',
  'SPANMESH_IMAGE',
  'SPANMESH_KEY',
  'SPANMESH_MAKE_IMAGES',
  'SPANMESH_PEERS',
  'SPANMESH_PUBLISH',
  'SPANMESH_PUBLISH_GATEWAY',
  'SPANMESH_PUBLISH_TOPOLOGY',
  'SPANMESH_PUBLISH_VOLCONF',
  'SPANMESH_SHELL_HISTORY',
  'SPANMESH_TOKEN',
  'SPANMESH_TOKEN_FILE',
  'SPANMESH_TRY_PATIENCE',
  'SPANMESH_TRY_SECRETS_TAKE',
]);

/** A variable of the environment that looks like a setting, and that nothing reads. */
export interface UnknownSetting {
  readonly variable: string;
  /** The setting whose name is nearest; null: none is near. */
  readonly meant: string | null;
}

/** Whether something of the product reads a variable of this name. */
export function isKnownSetting(variable: string): boolean {
  return PRODUCT_SETTINGS.has(variable) || OTHERS.has(variable);
}

/**
 * Variables that nothing reads although they are named like settings. Processes may share an environment, and each has
 * settings that others do not have: so each process knows the names of all settings. `own`: further known names.
 */
export function unknownSettings(
  env: Readonly<Record<string, string | undefined>>,
  own: ReadonlySet<string> = new Set(),
): UnknownSetting[] {
  const found: UnknownSetting[] = [];
  for (const [variable, value = ''] of Object.entries(env)) {
    const upper = variable.toUpperCase();
    if (!upper.startsWith(PREFIX) || isKnownSetting(variable) || own.has(variable)) continue;
    if (SERVICE_LINK.test(variable) || SERVICE_URL.test(value)) continue;
    const meant = nearest(upper, [...PRODUCT_SETTINGS, ...own]);
    // Another program may be called alike.
    if (meant !== null || upper.startsWith(`${PREFIX}_`)) found.push({ variable, meant });
  }
  return found.sort((a, b) => (a.variable < b.variable ? -1 : 1));
}

/** One such variable in words; its value is not shown, because it may be a secret. */
export function unknownText({ variable, meant }: UnknownSetting): string {
  return `${variable} is no setting${meant === null ? '' : ` (did you mean ${meant}?)`}`;
}

/** The name that differs by the fewest letters; null: they all differ by too many. */
function nearest(variable: string, names: Iterable<string>): string | null {
  if (variable.length > MAX_NAME_CHARS) return null;
  let best: string | null = null;
  let fewest = Math.max(MEANT_LETTERS, Math.floor(MEANT_PART * (variable.length - PREFIX.length - 1)));
  for (const name of names) {
    const letters = lettersApart(variable, name);
    if (letters > fewest || (best !== null && letters === fewest)) continue;
    best = name;
    fewest = letters;
  }
  return best;
}

/** Levenshtein's distance. */
export function lettersApart(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const other = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(other, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    above = row;
  }
  return above[b.length] ?? 0;
}
