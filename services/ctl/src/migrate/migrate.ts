import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { type MigrationPlan, planMigration } from './plan.ts';

export interface MigrateQuery {
  /** The reference's directory, which is only read. */
  readonly from: string;
  /** Our directory, which is written. */
  readonly to: string;
  /** Whether to write; otherwise the plan is only printed. */
  readonly apply: boolean;
}

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * Prints which of the reference's files go where, and what about them cannot be taken over; with `apply` it writes
 * them. The reference's own files stay unchanged: they are the way back.
 * @throws Failure refused: `from` cannot be read, or a file in `to` is in the way; then nothing has been written
 */
export async function migrate({ from, to, apply }: MigrateQuery, terminal: Terminal): Promise<void> {
  const plan = await planMigration(resolve(from), resolve(to));
  await write(terminal.out, planText(plan));
  if (plan.inTheWay.length > 0) {
    throw new Failure('refused', `nothing is overwritten: ${plan.inTheWay.map(printable).join(', ')} is there already`);
  }
  if (!apply) {
    await write(terminal.out, 'nothing was written: --apply does it\n');
    return;
  }
  await writeAll(plan);
  await write(
    terminal.out,
    [
      'written. What is left:',
      `  chown -R spanmesh: ${printable(join(plan.to, 'keys'))}     (the user that runs spanmesh must be able to read it)`,
      '  stop `hammer2 service`, which has port 987',
      `  start spanmesh standalone with the settings in ${printable(plan.settingsFile)}: systemctl enable --now spanmesh@standalone`,
      '',
    ].join('\n'),
  );
}

function planText({ from, peers, hosts, copies, settings, settingsFile, problems }: MigrationPlan): string {
  return [
    `${printable(from)}: ${peers} files of peers, ${hosts} hosts to stay connected to`,
    ...copies.map((copy) => `copy  ${printable(copy.from)} -> ${printable(copy.to)}`),
    `write ${printable(settingsFile)}`,
    ...settings.map(([name, value]) => `        ${name}=${printable(value)}`),
    ...problems.map(({ file, problem }) => `problem: ${printable(file)} ${printable(problem)}`),
    '',
  ].join('\n');
}

async function writeAll({ copies, settings, settingsFile }: MigrationPlan): Promise<void> {
  try {
    for (const { to, content } of copies) {
      await mkdir(dirname(to), { recursive: true, mode: DIRECTORY_MODE });
      await writeFile(to, content, { flag: 'wx', mode: FILE_MODE });
    }
    await mkdir(dirname(settingsFile), { recursive: true });
    const lines = settings.map(([name, value]) => `${name}=${value}\n`);
    await writeFile(settingsFile, `# Written by spanmesh migrate.\n${lines.join('')}`, { flag: 'wx' });
  } catch (error) {
    const { path } = error as NodeJS.ErrnoException;
    throw new Failure('refused', `cannot write ${printable(path ?? '')}: ${fileTrouble(error)}`, { cause: error });
  }
}
