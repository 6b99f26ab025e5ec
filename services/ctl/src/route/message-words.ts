import { ABORT, CREATE, DELETE, REPLY } from '@spanmesh/dmsg/command';
import { errorName } from '@spanmesh/dmsg/error-code';
import { describeCommand } from '@spanmesh/dmsg/names';
import type { RoutedMessage } from '@spanmesh/proto/v1/messaging';

/** An answer of a node as protocol.md spells messages: `BLK_ERROR|CREATE|DELETE|REPLY PARAM`. */
export function messageWords(message: RoutedMessage): string {
  const { command, error } = message;
  // In transactions REPLY follows from the roles, so it is not carried.
  const isReply = message.transaction === 0 ? message.reply : !message.openedByNode;
  const flags =
    (message.create ? CREATE : 0) | (message.delete ? DELETE : 0) | (message.abort ? ABORT : 0) | (isReply ? REPLY : 0);
  return describeCommand(command | flags) + (error === 0 ? '' : ` ${errorName(error)}`);
}
