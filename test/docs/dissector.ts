import { ERROR_NAMES } from '@spanmesh/dmsg/error-code';
import { COMMAND_NAMES, PEER_TYPE_NAMES } from '@spanmesh/dmsg/names';

/** The Wireshark dissector with its tables of numbers as libs/dmsg has them; the rest of it is left as it is. */
export function fillDissector(text: string): string {
  const tables = {
    COMMANDS: luaTable(COMMAND_NAMES, 6),
    ERRORS: luaTable(ERROR_NAMES, 2),
    PEER_TYPES: luaTable(PEER_TYPE_NAMES, 2),
  };
  let filled = text;
  for (const [name, entries] of Object.entries(tables)) {
    const place = new RegExp(`(?<=^local ${name} = \\{\n)[^}]*(?=^\\}$)`, 'm');
    if (!place.test(filled)) throw new Error(`the dissector has no table ${name}`);
    filled = filled.replace(place, entries);
  }
  return filled;
}

/** Entries in order of their numbers, with so many hexadecimal digits. */
function luaTable(names: ReadonlyMap<number, string>, digits: number): string {
  return [...names]
    .sort(([a], [b]) => a - b)
    .map(([number, name]) => `  [0x${number.toString(16).padStart(digits, '0')}] = "${name}",\n`)
    .join('');
}
