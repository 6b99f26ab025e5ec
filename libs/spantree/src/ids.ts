// Names of what a tree is made of, told apart by the type checker: a number of one kind is not taken for one of another. Plain numbers and
// texts, as they come in messages, are taken for what they are given to. Nothing of it is there at run time.

type Named<T, Name extends string> = T & { readonly __id?: Name };

/** A connection of a gateway: counted from 1, never reused within a boot. */
export type ConnId = Named<number, 'connection'>;
/** A LNK_CONN of a gateway: counted from 1, never reused within a boot. */
export type LnkConnId = Named<number, 'LNK_CONN'>;
/** A link (LNK_SPAN) of a gateway: counted from 1, never reused within a boot; 0 is the gateway's own span. */
export type LinkId = Named<number, 'link'>;
/** `<name>.<boot>`: a gateway until it is declared dead. */
export type GatewayId = Named<string, 'gateway'>;
/** `<name>.<first boot>`: a gateway as long as its process lives, whatever was declared meanwhile. */
export type GatewayKey = Named<string, 'gateway key'>;
