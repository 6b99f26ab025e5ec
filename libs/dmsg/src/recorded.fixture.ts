import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DialectRules } from './dialect.ts';
import { CIRCUIT, LINKID } from './dialect.ts';

// For tests: the sessions recorded from the reference daemons (test/data/captures/README.md).

const DIRECTORY = join(import.meta.dirname, '../../../test/data/captures');

/** The messages that one side of a recorded connection sent. */
export interface RecordedStream {
  readonly name: string;
  readonly rules: DialectRules;
  readonly messages: readonly Buffer[];
}

/** One recorded fault: a case of errors.json. */
export interface RecordedError {
  readonly name: string;
  readonly rules: DialectRules;
  /** The bytes that the offender sent, then those of the bystander. Empty if they were not recorded. */
  readonly sent: Buffer;
}

/** The JSON of a recorded session, as far as it is used here. */
interface Session {
  readonly dialect: string;
  readonly entries: readonly { conn?: string; from?: string; cmd?: string; hex?: string; event?: string }[];
}

interface Errors {
  readonly results: readonly { case: string; dialect: string; sentHex?: string }[];
}

const rulesOfRecording = (dialect: string): DialectRules => (dialect === 'v1' ? LINKID : CIRCUIT);
const parse = (file: string): unknown => JSON.parse(readFileSync(join(DIRECTORY, file), 'utf8'));

/** Both directions of every connection of every recorded session. */
export function recordedStreams(): RecordedStream[] {
  const files = readdirSync(DIRECTORY).filter((file) => /^v\d.*\.json$/.test(file));
  return files.flatMap((file) => {
    const session = parse(file) as Session;
    const streams = new Map<string, Buffer[]>();
    for (const { conn, from, cmd, hex } of session.entries) {
      if (cmd === undefined || hex === undefined) continue;
      const name = `${file} ${conn} from ${from}`;
      const message = Buffer.from(hex, 'hex');
      const messages = streams.get(name);
      if (messages === undefined) streams.set(name, [message]);
      else messages.push(message);
    }
    const rules = rulesOfRecording(session.dialect);
    return [...streams].map(([name, messages]) => ({ name, rules, messages }));
  });
}

/** Every case of errors.json. */
export function recordedErrors(): RecordedError[] {
  return (parse('errors.json') as Errors).results.map((result) => ({
    name: result.case,
    rules: rulesOfRecording(result.dialect),
    sent: Buffer.from(result.sentHex ?? '', 'hex'),
  }));
}
