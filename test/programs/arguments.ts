import { type ParseArgsConfig, parseArgs } from 'node:util';

type Parsed<T extends ParseArgsConfig> = ReturnType<typeof parseArgs<T>>;

/**
 * The arguments of a program under `test/`, as `parseArgs` reads them. With `--help` the program prints its usage and
 * ends with exit code 0. With an argument that it does not know it prints what is wrong, and the usage, and ends with
 * exit code 2.
 */
export function programArguments<const T extends ParseArgsConfig>(usage: string, config: T): Parsed<T> {
  const help = { type: 'boolean', default: false } as const;
  try {
    const parsed = parseArgs({ ...config, options: { ...config.options, help } });
    const { help: isAsked }: { readonly help?: unknown } = parsed.values;
    if (isAsked !== true) return parsed as unknown as Parsed<T>;
    console.log(usage);
    return process.exit(0);
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
}

/** Ends the program with exit code 2, because of an argument that cannot be used. `why` says which ones can. */
export function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}
