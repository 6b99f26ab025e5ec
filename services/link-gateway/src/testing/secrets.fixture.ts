/** Bytes of a secret that must not be shown in a row. */
const RUN = 9;

/** Every run of so many bytes of a secret, as logs could show it. */
export function spellings(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  const found: string[] = [];
  for (let at = 0; at + RUN <= bytes.length; at++) {
    const part = bytes.subarray(at, at + RUN);
    found.push(part.toString('hex'), part.toString('hex').toUpperCase(), [...part].join(','), part.toString('base64'));
    found.push(part.toString('base64url'));
  }
  return found;
}

/** What of the secret is shown in what was said. */
export function shownOf(secret: Uint8Array, said: string): string[] {
  return spellings(secret).filter((spelling) => said.includes(spelling));
}
