import { FileKeyValue } from './file-kv.ts';

/** Writes and deletes for ever, and prints each acknowledged change: `key value`, or `key -` for a delete. */
const kv = await FileKeyValue.open(
  { directory: process.argv[2]!, bucket: 'torture', setting: 'SPANMESH_DATA_DIR' },
  { onError: () => {} },
);
let n = Number(process.argv[3]);
for (;;) {
  // Two changes at a time, as two users would make them.
  await Promise.all([change(n++), change(n++)]);
}

async function change(number: number): Promise<void> {
  const key = `k${number % 7}`;
  if (number % 5 === 0) {
    await kv.delete(key);
    process.stdout.write(`${number} ${key} -\n`);
  } else {
    await kv.put(key, new TextEncoder().encode(String(number).repeat(200)));
    process.stdout.write(`${number} ${key} ${number}\n`);
  }
}
