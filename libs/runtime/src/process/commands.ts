/**
 * How the command is called where this runs: in a checkout, whose code is TypeScript as it was written, npm knows it; what is installed
 * (a bundle) is in the PATH.
 */
const IS_CHECKOUT = import.meta.url.endsWith('.ts');

/** The command itself. */
export const COMMAND = IS_CHECKOUT ? 'npx spanmesh' : 'spanmesh';
/** What starts everything on this host. */
export const START_COMMAND = IS_CHECKOUT ? 'npm start' : 'spanmesh run standalone';
