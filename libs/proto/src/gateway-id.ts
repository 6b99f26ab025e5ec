/** Allowed names of a gateway (gateway_control.proto, Hello). */
export const GATEWAY_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const BOOT = /^[0-9a-f]{8}$/;

/** A gateway's name and boot id. */
export interface GatewayName {
  readonly name: string;
  readonly boot: string;
}

export function isGatewayName({ name, boot }: GatewayName): boolean {
  return GATEWAY_NAME.test(name) && BOOT.test(boot);
}

/** `<name>.<boot>` */
export function gatewayId({ name, boot }: GatewayName): string {
  return `${name}.${boot}`;
}

/** The name and boot id in a gateway's id; null: the text is no id. */
export function gatewayName(id: string): GatewayName | null {
  const dot = id.indexOf('.');
  const parts = { name: id.slice(0, Math.max(dot, 0)), boot: id.slice(dot + 1) };
  return isGatewayName(parts) ? parts : null;
}

/** The name in a gateway's id, without a check of the rest. */
export function nameOf(id: string): string {
  const dot = id.lastIndexOf('.');
  return dot < 0 ? id : id.slice(0, dot);
}

/** The parts of the id of a connection, LNK_CONN or link: `<gateway>:<number>`. */
export function splitId(id: string): { readonly gateway: string; readonly number: number } {
  const colon = id.lastIndexOf(':');
  return { gateway: id.slice(0, colon), number: Number(id.slice(colon + 1)) };
}
