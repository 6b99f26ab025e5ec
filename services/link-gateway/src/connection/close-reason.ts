/** Why a connection ended; a label of metrics, so the values are few. */
export type CloseReason =
  | 'peer-closed'
  | 'socket-error'
  | 'protocol-error'
  | 'transaction-limit'
  | 'message-timeout'
  | 'silent'
  | 'half-dead'
  | 'send-limit'
  | 'stalled'
  | 'receive-limit'
  | 'share'
  | 'self'
  | 'command'
  | 'hangup'
  | 'drain'
  | 'unanswered'
  | 'stopping'
  | 'internal';

/** All close reasons. */
export const CLOSE_REASONS: readonly CloseReason[] = [
  'peer-closed',
  'socket-error',
  'protocol-error',
  'transaction-limit',
  'message-timeout',
  'silent',
  'half-dead',
  'send-limit',
  'stalled',
  'receive-limit',
  'share',
  'self',
  'command',
  'hangup',
  'drain',
  'unanswered',
  'stopping',
  'internal',
];

const WORDS: Readonly<Record<CloseReason, string>> = {
  'peer-closed': 'the peer has closed it',
  'socket-error': 'the network has broken it',
  'protocol-error': 'the peer has broken the protocol',
  'transaction-limit': 'too many transactions',
  'message-timeout': 'a message was not finished in time',
  silent: 'the peer said nothing',
  'half-dead': 'the peer has stopped answering',
  'send-limit': 'the peer does not read',
  stalled: 'the peer does not read',
  'receive-limit': 'too many half-received messages',
  share: 'the peer had more than its share',
  self: 'it leads back to this router',
  command: 'closed by order',
  hangup: 'nobody wants it any more',
  drain: 'drained',
  unanswered: 'the peer did not answer',
  stopping: 'the gateway stops',
  internal: 'a fault of this program',
};

/** Why a connection ended, for people. */
export function closeWords(reason: CloseReason): string {
  return WORDS[reason];
}

/** What an operator can do about it; null: nothing, as the reason is an ordinary one. */
export function adviceFor(reason: CloseReason): string | null {
  switch (reason) {
    case 'protocol-error':
      return 'check that the peer speaks DMSG in the dialect of this connection, and its version; only this connection is closed';
    case 'transaction-limit':
      return 'the peer has more transactions open than it may; raise the limit of transactions if that is how it works';
    case 'message-timeout':
      return 'the peer began a message and did not finish it; if its network is that slow, raise the message timeout';
    case 'silent':
      return 'the peer connected and sent nothing; if it is slow to start, raise the silent timeout';
    case 'half-dead':
      return 'the peer has stopped answering; it may connect again at any time';
    case 'send-limit':
    case 'stalled':
      return 'the peer does not read what is sent to it; check it, or raise the send limit or the stall timeout';
    case 'receive-limit':
      return 'too many half-received messages; raise the receive limit if peers send large ones at the same time';
    case 'share':
      return 'the peer, or others with its key or address, had most of what all share; raise that total if it is right';
    case 'self':
      return 'the address leads back to this router; correct the target';
    case 'internal':
      return 'a fault in this program; please report it with this line';
    default:
      return null;
  }
}
