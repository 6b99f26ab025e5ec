// Types of ids. The type checker does not accept an id of one kind for one of another; plain numbers and texts, as they
// come in messages, are accepted for any. At run time they are plain numbers and texts.

type Named<T, Name extends string> = T & { readonly __id?: Name };

/** A connection of a gateway: counted from 1, never reused within a boot. */
export type ConnId = Named<number, 'connection'>;
/** A LNK_CONN of a gateway: counted from 1, never reused within a boot. */
export type LnkConnId = Named<number, 'LNK_CONN'>;
/** A link (LNK_SPAN) of a gateway: counted from 1, never reused within a boot; 0 is the gateway's own span. */
export type LinkId = Named<number, 'link'>;
/** `<name>.<boot>`: names a gateway until it is declared dead; then it gets another boot id. */
export type GatewayId = Named<string, 'gateway'>;
/** `<name>.<first boot>`: names a gateway as long as its process lives, even if it was declared dead meanwhile. */
export type GatewayKey = Named<string, 'gateway key'>;
