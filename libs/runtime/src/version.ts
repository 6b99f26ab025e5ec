import manifest from '../package.json' with { type: 'json' };

/** Version of the software (semantic versioning): that of the packages, which are released together. */
export const VERSION: string = manifest.version;
