/** Bytes of key material that each side sends in the handshake (protocol.md, "Crypto": Handshake). */
export const SESSION_BYTES = 64;
/** The first of them are the AES-256 key of what the same side sends afterwards ("Crypto": Stream). */
export const SESSION_KEY_BYTES = 32;
/** Then come the four bytes that every IV starts with; the rest is not used. */
export const SESSION_IV_AT = SESSION_KEY_BYTES;
export const SESSION_IV_BYTES = 4;
