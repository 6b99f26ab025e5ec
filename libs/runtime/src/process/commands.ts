/**
 * Whether this code runs in a checkout, as TypeScript: there npm knows the command. An installed bundle has it in the
 * PATH.
 */
const IS_CHECKOUT = import.meta.url.endsWith('.ts');

/** The command, as a person types it here. */
export const COMMAND = IS_CHECKOUT ? 'npx spanmesh' : 'spanmesh';
/** The command that starts all services on this host. */
export const START_COMMAND = IS_CHECKOUT ? 'npm start' : 'spanmesh run standalone';
