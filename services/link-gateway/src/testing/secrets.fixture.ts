/** Length of the shortest run of a secret's bytes that counts as shown. */
const RUN = 9;

/** Every run of RUN bytes of a secret, in each form in which logs could show it. */
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

/** The runs of the secret that occur in the text. */
export function shownOf(secret: Uint8Array, said: string): string[] {
  return spellings(secret).filter((spelling) => said.includes(spelling));
}
