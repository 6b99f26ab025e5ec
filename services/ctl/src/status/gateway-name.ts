import type { GatewayStatus } from '@spanmesh/proto/v1/topology';

/** `<name>.<boot>` */
export function idOf({ name, boot }: Pick<GatewayStatus, 'name' | 'boot'>): string {
  return `${name}.${boot}`;
}
