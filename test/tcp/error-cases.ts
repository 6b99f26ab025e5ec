import {
  ABORT,
  CREATE,
  DBG_SHELL,
  DELETE,
  type Dialect,
  describeMessage,
  type ERROR,
  encode,
  fieldWriter,
  isCmd,
  LNK_ERROR,
  LNK_PAD,
  LNK_PING,
  MAX_AUX,
  MAX_HEADER,
  type Message,
  REPLY,
  REVCIRC,
  sealHeader,
  textAux,
  textOf,
  UNKNOWN_LNK,
  UNKNOWN_PROTOCOL,
} from '../peer/wire.ts';
import type { Setup, Stage } from './error-stage.ts';

/** An expected answer of the router. */
export interface Answer {
  cmd: number;
  error?: keyof typeof ERROR;
  text?: string | RegExp;
  msgid?: bigint;
  circuit?: bigint;
}

/** What must happen after the offence. */
export type Outcome =
  /** X's link (or Y's) is ended with its transactions; if an error is named, it is counted under it. */
  | { closed: keyof typeof ERROR | null; who?: 'y'; answers?: (stage: Stage) => Answer[] }
  /** Everything goes on; X gets exactly these answers (if there are several lists: exactly one of them). */
  | {
      alive: true;
      answers: ((stage: Stage) => Answer[])[];
      /** What happens to the relays at Y. Default: it keeps the relay of X's span. */
      bystander?: 'keeps' | 'loses' | 'gains';
    };

/** A case of malformed or unexpected input: how it is played, and what must come of it. */
export interface ErrorCase {
  name: string;
  /** Default: both. */
  dialects?: Dialect[];
  setup?: Setup;
  /** Plays messages of the recording: this many (default 1), sent by X or Y. Otherwise `play` sends them. */
  template?: { count?: number; by?: 'x' | 'y'; seal?: boolean; saltStep?: number };
  play?: (stage: Stage) => void | Promise<void>;
  outcome: Outcome | ((dialect: Dialect) => Outcome);
  /** The rule of protocol.md that the case tests. */
  rule: string;
}

const none = () => [];
const silent: Outcome = { alive: true, answers: [none] };
const closed = (error: keyof typeof ERROR): Outcome => ({ closed: error });
const answered = (...answers: ((stage: Stage) => Answer[])[]): Outcome => ({ alive: true, answers });

const oneWayNosupp = (): Answer[] => [{ cmd: LNK_ERROR | REPLY, error: 'NOSUPP', msgid: 0n }];

/** The end of a shell command's output. */
function shellEnd({ dialect }: Stage): Answer {
  return dialect === 'linkid'
    ? { cmd: LNK_ERROR | REPLY, msgid: 0n }
    : { cmd: DBG_SHELL | REPLY, text: 'debug> ', msgid: 0n };
}

/** Lines of output, followed by the end of the output. */
function shell(...lines: (string | RegExp)[]): (stage: Stage) => Answer[] {
  return (stage) => [...lines.map((text) => ({ cmd: DBG_SHELL | REPLY, text, msgid: 0n })), shellEnd(stage)];
}

const HELP_LINES = [
  'help            Command help\n',
  'span <host>     Span to target host\n',
  'tree            Dump spanning tree\n',
];
const AT_SPAN_LINE = '@span <cmd>     Issue via circuit\n';
const help = (stage: Stage) => shell(...HELP_LINES, ...(stage.dialect === 'circuit' ? [AT_SPAN_LINE] : []))(stage);

/** The only answer in a transaction that X opened: it is both first and last. */
function refused(msgid: (stage: Stage) => bigint, error?: keyof typeof ERROR): (stage: Stage) => Answer[] {
  return (stage) => [
    {
      cmd: CREATE | DELETE | REPLY | stage.rev | LNK_ERROR,
      msgid: msgid(stage),
      ...(error === undefined ? {} : { error }),
    },
  ];
}

/** The router's end of a transaction that X has opened and closed: in linkid the end of a span is its first answer. */
function spanEnd(stage: Stage): Answer[] {
  const cmd = (stage.dialect === 'linkid' ? CREATE | DELETE : DELETE) | REPLY | stage.rev | LNK_ERROR;
  return [{ cmd, msgid: stage.span }];
}

/** Answers to a transaction that is opened and closed at once: acknowledged and ended in one message or in two. */
const openedAndEnded = [
  refused(() => 0x7777n),
  ({ rev }: Stage): Answer[] => [
    { cmd: CREATE | REPLY | rev | LNK_ERROR, msgid: 0x7777n },
    { cmd: DELETE | REPLY | rev | LNK_ERROR, msgid: 0x7777n },
  ],
];

/** X's span is accepted: acknowledged in circuit, silently in linkid. Y gets its relay. */
const spanTaken: Outcome = {
  alive: true,
  bystander: 'gains',
  answers: [
    ({ dialect, rev }) => (dialect === 'circuit' ? [{ cmd: CREATE | REPLY | rev | LNK_ERROR, msgid: 0x7777n }] : []),
  ],
};

/** Sends a part of a message, and then FIN. */
function truncated(bytes: number, body: number, aux: number): (stage: Stage) => void {
  return ({ dialect, x }) => {
    const message = { cmd: DBG_SHELL, body: Buffer.alloc(body), aux: Buffer.alloc(aux, 0x20) };
    x.sendBytes(encode(dialect, message, x.nextSalt()).subarray(0, bytes));
    x.end();
  };
}

/** A message with this many bytes of aux data (rounded as the dialect does). */
function bigAux(stage: Stage, bytes: number, text: string): Buffer {
  const aux = Buffer.alloc(bytes);
  aux.write(text);
  return encode(stage.dialect, { cmd: DBG_SHELL, aux }, stage.x.nextSalt());
}

const TABLE = 'Transactions, the table';
const LIMITS = 'Message, Limits';

export const ERROR_CASES: ErrorCase[] = [
  // Framing.
  { name: 'bad-magic', template: {}, outcome: closed('SYNC'), rule: 'Message, magic' },
  { name: 'bad-header-crc', template: { seal: false }, outcome: closed('HCRC'), rule: 'Message, hdr_crc' },
  { name: 'header-size-0', template: {}, outcome: closed('FIELD'), rule: LIMITS },
  {
    name: 'header-2048-unknown-command',
    play: ({ x }) => x.send({ cmd: UNKNOWN_LNK, body: Buffer.alloc(MAX_HEADER - 64) }),
    outcome: answered(oneWayNosupp),
    rule: LIMITS,
  },
  {
    name: 'header-2112-too-large',
    play: ({ x }) => x.send({ cmd: UNKNOWN_LNK, body: Buffer.alloc(MAX_HEADER) }),
    outcome: closed('FIELD'),
    rule: LIMITS,
  },
  {
    name: 'aux-largest',
    play: (stage) => stage.x.sendBytes(bigAux(stage, MAX_AUX[stage.dialect], 'help')),
    outcome: answered(help),
    rule: LIMITS,
  },
  {
    name: 'aux-too-large',
    play: (stage) => {
      // Only the header: the limit must be checked before the aux data is awaited.
      stage.x.sendBytes(bigAux(stage, MAX_AUX[stage.dialect] + 64, 'help').subarray(0, 64));
    },
    outcome: closed('FIELD'),
    rule: LIMITS,
  },
  { name: 'bad-aux-crc', template: {}, outcome: closed('ACRC'), rule: 'Message, CRC' },
  { name: 'zero-aux-crc', template: {}, outcome: closed('ACRC'), rule: 'Message, CRC' },
  { name: 'salt-sequence-skipped', template: { saltStep: 2 }, outcome: closed('MSGSEQ'), rule: 'Message, salt' },
  { name: 'salt-sequence-repeated', template: { saltStep: 0 }, outcome: closed('MSGSEQ'), rule: 'Message, salt' },
  {
    name: 'truncated-in-header',
    play: truncated(40, 0, 0),
    outcome: { closed: null },
    rule: 'Transactions, half-close',
  },
  {
    name: 'truncated-in-extended-header',
    play: truncated(200, 384, 0),
    outcome: { closed: null },
    rule: 'Transactions, half-close',
  },
  {
    name: 'truncated-in-aux',
    play: truncated(164, 0, 640),
    outcome: { closed: null },
    rule: 'Transactions, half-close',
  },
  {
    name: 'message-in-small-pieces',
    play: async ({ dialect, x }) => {
      // Each byte in a write of its own, so that it leaves in a packet of its own.
      for (const byte of encode(dialect, { cmd: DBG_SHELL, aux: textAux('help') }, x.nextSalt())) {
        x.sendBytes(Uint8Array.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    outcome: answered(help),
    rule: 'Message',
  },
  { name: 'big-endian-header', template: {}, outcome: answered(help), rule: 'Message, magic' },
  { name: 'big-endian-span', template: {}, outcome: spanTaken, rule: 'Message, magic: payloads are not swapped' },
  {
    name: 'shell-text-without-nul',
    template: {},
    outcome: answered(help),
    rule: 'Payloads: a shell text ends at its first NUL or at the end of the aux data',
  },
  { name: 'hangup', play: ({ x }) => x.reset(), outcome: { closed: null }, rule: 'Transactions: a link is lost' },
  { name: 'half-close', play: ({ x }) => x.end(), outcome: { closed: null }, rule: 'Transactions, half-close' },

  // Transactions.
  { name: 'duplicate-create', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'delete-unknown', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'reply-delete-unknown', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'reply-create-unknown', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'reply-create-delete-unknown', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'reply-unknown-no-flags', template: {}, outcome: silent, rule: TABLE },
  {
    name: 'abort-delete-unknown',
    template: {},
    outcome: silent,
    rule: 'Transactions: ABORT|DELETE may come for one that is gone',
  },
  {
    name: 'reply-abort-delete-unknown',
    template: {},
    outcome: silent,
    rule: 'Transactions: ABORT|DELETE may come for one that is gone',
  },
  { name: 'abort-unknown', template: {}, outcome: silent, rule: 'Transactions: an ABORT without CREATE' },
  {
    name: 'abort-create-span',
    template: {},
    outcome: spanTaken,
    rule: 'The link layer, 2: relayed with a clean header',
  },
  {
    name: 'delete-twice',
    template: { count: 2 },
    outcome: { closed: 'TRANS', answers: spanEnd },
    rule: TABLE,
  },
  {
    name: 'span-delete-with-abort',
    template: {},
    outcome: { alive: true, bystander: 'loses', answers: [spanEnd] },
    rule: 'Transactions: closed by the other too, also after ABORT',
  },
  {
    name: 'span-delete-as-span-message',
    template: {},
    outcome: { alive: true, bystander: 'loses', answers: [spanEnd] },
    rule: 'Transactions: DELETE closes that direction',
  },
  {
    name: 'span-delete-with-error',
    template: {},
    outcome: { alive: true, bystander: 'loses', answers: [spanEnd] },
    rule: 'Transactions: DELETE closes that direction',
  },
  { name: 'one-way-with-unknown-msgid', template: {}, outcome: silent, rule: TABLE },
  {
    name: 'conn-reply-delete-twice',
    template: { count: 2 },
    outcome: { closed: 'TRANS', answers: ({ routerConn }) => [{ cmd: DELETE | LNK_ERROR, msgid: routerConn }] },
    rule: TABLE,
  },
  {
    name: 'reply-delete-without-create',
    setup: 'unacknowledged',
    play: ({ x, routerConn, rev }) => x.send({ cmd: DELETE | REPLY | rev | LNK_ERROR, msgid: routerConn }),
    outcome: closed('TRANS'),
    rule: `${TABLE}: the reply direction is not there`,
  },
  {
    name: 'reply-before-create',
    setup: 'unacknowledged',
    play: ({ x, routerConn, rev }) => x.send({ cmd: REPLY | rev | LNK_ERROR, msgid: routerConn }),
    outcome: silent,
    rule: TABLE,
  },
  {
    name: 'command-on-daemons-transaction',
    play: ({ x, routerConn, rev }) => x.send({ cmd: REPLY | rev | UNKNOWN_LNK, msgid: routerConn }),
    outcome: silent,
    rule: `${TABLE}: an unknown command inside an open LNK_CONN`,
  },
  { name: 'create-msgid-0', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'reply-create-twice', template: {}, outcome: closed('TRANS'), rule: `${TABLE}: a duplicate CREATE` },
  {
    name: 'unknown-transaction-create-delete',
    template: {},
    outcome: answered(refused(({ free }) => free, 'NOSUPP')),
    rule: TABLE,
  },
  { name: 'unknown-transaction', template: {}, outcome: answered(refused(() => 0x7777n, 'NOSUPP')), rule: TABLE },

  // The link layer.
  {
    name: 'second-conn',
    template: {},
    outcome: (dialect) =>
      dialect === 'linkid'
        ? answered(() => [{ cmd: CREATE | REPLY | LNK_ERROR, msgid: 0x7777n }])
        : answered(refused(() => 0x7777n, 'PARAM')),
    rule: 'The link layer, 2',
  },
  {
    name: 'conn-create-delete',
    setup: 'bare',
    template: {},
    outcome: answered(...openedAndEnded),
    rule: 'Transactions: one message may carry both flags',
  },
  { name: 'conn-one-way', template: {}, outcome: answered(oneWayNosupp), rule: TABLE },
  {
    name: 'conn-again-on-open-transaction',
    template: {},
    outcome: silent,
    rule: `${TABLE}: an unknown command inside an open LNK_CONN`,
  },
  {
    name: 'unknown-command-on-conn',
    template: {},
    outcome: silent,
    rule: `${TABLE}: an unknown command inside an open LNK_CONN`,
  },
  {
    name: 'span-create-delete',
    template: {},
    outcome: answered(...openedAndEnded),
    rule: 'Transactions: one message may carry both flags',
  },
  // LNK_SPAN is known, but not as a one-way message: it is refused as such, or ignored as the reference does.
  { name: 'span-one-way', template: {}, outcome: answered(none, oneWayNosupp), rule: TABLE },
  { name: 'span-one-way-reply', template: {}, outcome: silent, rule: `${TABLE}: any one-way with REPLY` },
  {
    name: 'span-labels-unterminated',
    template: {},
    outcome: spanTaken,
    rule: 'Payloads: force the last byte of each string to 0',
  },
  {
    name: 'span-peer-type-64',
    template: {},
    outcome: answered(refused(() => 0x7777n, 'PARAM')),
    rule: 'Payloads, peer_type',
  },
  {
    name: 'span-dist-negative',
    template: {},
    // As an unsigned number the dist is greater than 16.
    outcome: (dialect) => (dialect === 'linkid' ? spanTaken : { ...spanTaken, bystander: 'keeps' }),
    rule: 'The link layer, 2: linkid: signed, circuit: unsigned',
  },
  {
    name: 'same-span-msgid-on-two-connections',
    template: { by: 'y' },
    // X gets Y's span as a relay.
    outcome: { alive: true, answers: [() => [{ cmd: CREATE | 0x1207 }]] },
    rule: 'Transactions: keyed per connection and opener',
  },
  { name: 'volconf-without-conn', template: {}, outcome: answered(oneWayNosupp), rule: TABLE },
  {
    name: 'volconf-on-span',
    template: {},
    outcome: silent,
    rule: `${TABLE}: an unknown command inside an open LNK_SPAN`,
  },
  { name: 'volconf-negative-index', template: {}, outcome: silent, rule: 'The link layer, 3: reported and ignored' },
  { name: 'volconf-unterminated-path', template: {}, outcome: silent, rule: 'The link layer, 3: reported and ignored' },
  { name: 'volconf-other-scheme', template: {}, outcome: silent, rule: 'The link layer, 3' },
  { name: 'volconf-unreachable', template: {}, outcome: silent, rule: 'The link layer, 3' },

  // Debug shell.
  {
    name: 'shell-span-unreachable',
    template: {},
    outcome: answered(shell('Connection to 127.0.0.7 failed\n')),
    rule: 'Debug shell',
  },
  {
    name: 'shell-span-self',
    play: ({ x, world, dialect }) => x.send({ cmd: DBG_SHELL, aux: textAux(`span 127.0.0.1:${world.port(dialect)}`) }),
    outcome: answered(shell(/^Connection to .* failed/)),
    rule: 'Debug shell',
  },
  { name: 'shell-span-without-host', template: {}, outcome: answered(shell(/./)), rule: 'Debug shell' },
  {
    name: 'one-way-on-relayed-span',
    template: { by: 'y' },
    // linkid: without REPLY it is for a transaction of Y that does not exist. Circuit: REVTRANS without REPLY does not
    // occur in any transaction.
    outcome: (dialect) => (dialect === 'linkid' ? silent : { closed: 'TRANS', who: 'y' }),
    rule: TABLE,
  },
  {
    name: 'one-way-reply-on-relayed-span',
    template: { by: 'y' },
    outcome: silent,
    rule: `${TABLE}: an unknown command inside an open LNK_SPAN`,
  },
  {
    name: 'shell-on-own-span',
    template: {},
    outcome: silent,
    rule: `${TABLE}: an unknown command inside an open LNK_SPAN`,
  },

  // Stacking.
  { name: 'wrong-circuit-on-open-transaction', template: {}, outcome: closed('TRANS'), rule: TABLE },
  {
    name: 'unknown-circuit',
    template: {},
    outcome: answered(({ rev }) => [
      {
        cmd: CREATE | DELETE | ABORT | REPLY | rev | REVCIRC | LNK_ERROR,
        error: 'LOSTLINK',
        msgid: 0x7777n,
        circuit: 0x888n,
      },
    ]),
    rule: 'stacking: a CREATE gets LNK_ERROR|CREATE|DELETE|ABORT|REPLY, LOSTLINK, on the same circuit',
  },
  {
    name: 'unknown-circuit-revcirc',
    template: {},
    outcome: answered(({ rev }) => [
      { cmd: CREATE | DELETE | ABORT | REPLY | rev | LNK_ERROR, error: 'LOSTLINK', msgid: 0x7777n, circuit: 0x888n },
    ]),
    rule: 'stacking: a CREATE gets LNK_ERROR|CREATE|DELETE|ABORT|REPLY, LOSTLINK, on the same circuit',
  },
  {
    name: 'one-way-on-live-circuit',
    template: {},
    // A PING on X's own span is for the router itself, which may answer it there.
    outcome: answered(none, ({ span }) => [{ cmd: LNK_PING | REPLY | REVCIRC, msgid: 0n, circuit: span }]),
    rule: 'Routing, circuit',
  },
  {
    name: 'abort-delete-unknown-on-live-circuit',
    template: {},
    outcome: silent,
    rule: 'Transactions: ABORT|DELETE may come for one that is gone',
  },
  { name: 'create-with-revtrans', template: {}, outcome: closed('TRANS'), rule: TABLE },
  { name: 'reply-without-revtrans', template: {}, outcome: closed('TRANS'), rule: TABLE },
  {
    name: 'transaction-on-conn-circuit',
    template: {},
    outcome: answered(({ rev, free, conn }) => [
      { cmd: CREATE | DELETE | REPLY | rev | REVCIRC | LNK_ERROR, error: 'NOSUPP', msgid: free, circuit: conn },
    ]),
    rule: TABLE,
  },
  {
    name: 'transaction-on-daemons-conn-circuit',
    template: {},
    outcome: answered(({ rev, free, routerConn }) => [
      { cmd: CREATE | DELETE | REPLY | rev | LNK_ERROR, error: 'NOSUPP', msgid: free, circuit: routerConn },
    ]),
    rule: TABLE,
  },
  {
    name: 'shell-transaction-top-level',
    template: {},
    outcome: answered(
      // DELETE comes with the last line, or as a bare end after it.
      (stage) => insideAtOnce(stage, DBG_SHELL, [...HELP_LINES, AT_SPAN_LINE, 'debug> ']),
      (stage) => inside(stage, DBG_SHELL, [...HELP_LINES, AT_SPAN_LINE, 'debug> ']),
      (stage) => inside(stage, DBG_SHELL, [...HELP_LINES, AT_SPAN_LINE]),
    ),
    rule: `${TABLE}: PING or DBG_SHELL as a transaction`,
  },
  {
    name: 'ping-transaction',
    template: {},
    outcome: answered(
      ({ rev, free }) => [{ cmd: CREATE | DELETE | REPLY | rev | LNK_PING, msgid: free }],
      (stage) => inside(stage, LNK_PING, ['']),
    ),
    rule: `${TABLE}: PING or DBG_SHELL as a transaction`,
  },

  // Rows of protocol.md's table that were not recorded.
  { name: 'ping-reply', play: ({ x }) => x.send({ cmd: LNK_PING | REPLY }), outcome: silent, rule: TABLE },
  { name: 'error-one-way', play: ({ x }) => x.send({ cmd: LNK_ERROR, error: 32 }), outcome: silent, rule: TABLE },
  { name: 'pad', play: ({ x }) => x.send({ cmd: LNK_PAD }), outcome: silent, rule: TABLE },
  {
    name: 'unknown-one-way',
    play: ({ x }) => x.send({ cmd: UNKNOWN_PROTOCOL }),
    outcome: answered(oneWayNosupp),
    rule: TABLE,
  },
  {
    name: 'unknown-command-on-span',
    play: ({ x, span }) => x.send({ cmd: UNKNOWN_LNK, msgid: span }),
    outcome: silent,
    rule: TABLE,
  },
  {
    name: 'conn-peer-type-64',
    setup: 'bare',
    play: ({ x, dialect }) => {
      const body = Buffer.alloc(((dialect === 'linkid' ? 8 : 6) - 1) * 64);
      body.writeUInt8(64, 120 - 64);
      x.send({ cmd: CREATE | (dialect === 'linkid' ? 0x1108 : 0x1106), msgid: 0x7777n, body });
    },
    outcome: answered(refused(() => 0x7777n, 'PARAM')),
    rule: 'Payloads, peer_type',
  },
  {
    name: 'create-of-a-known-command-with-another-size',
    play: ({ x }) => x.send({ cmd: CREATE | 0x1200, msgid: 0x7777n }),
    outcome: answered(refused(() => 0x7777n, 'NOSUPP')),
    rule: "Message, cmd: the size is part of a command's identity",
  },
  {
    name: 'reserved-fields-set',
    play: ({ x, dialect }) => {
      const raw = encode(dialect, { cmd: DBG_SHELL, aux: textAux('help') }, x.nextSalt());
      const put = fieldWriter(raw, false);
      put.u16(2, 0x1234);
      put.u64(48, 0x6666n);
      put.u32(56, 0x7777);
      sealHeader(raw, 64, false);
      x.sendBytes(raw);
    },
    outcome: answered(help),
    rule: 'Message: reserved, aux_descr: ignore',
  },
  {
    name: 'aux-crc-without-aux',
    play: ({ x, dialect }) => {
      const raw = encode(dialect, { cmd: UNKNOWN_LNK }, x.nextSalt());
      fieldWriter(raw, false).u32(36, 0x12345678);
      sealHeader(raw, 64, false);
      x.sendBytes(raw);
    },
    outcome: answered(oneWayNosupp),
    rule: 'Message, CRC: without aux data ignore what comes',
  },
];

/** Answers in X's transaction `free`: the first has CREATE, and a bare end follows the last. */
function inside({ rev, free }: Stage, cmd: number, texts: string[]): Answer[] {
  const answers: Answer[] = texts.map((text, at) => ({
    cmd: (at === 0 ? CREATE : 0) | REPLY | rev | cmd,
    msgid: free,
    ...(text === '' ? {} : { text }),
  }));
  return [...answers, { cmd: DELETE | REPLY | rev | LNK_ERROR, msgid: free }];
}

/** As `inside`, but the last answer has DELETE itself, and no bare end follows. */
function insideAtOnce(stage: Stage, cmd: number, texts: string[]): Answer[] {
  const answers = inside(stage, cmd, texts).slice(0, -1);
  const last = answers.at(-1)!;
  return [...answers.slice(0, -1), { ...last, cmd: last.cmd | DELETE }];
}

/** Why the message is not the expected answer; null if it is. */
export function mismatch(answer: Answer, message: Message, errors: typeof ERROR): string | null {
  const error = answer.error === undefined ? 0 : errors[answer.error];
  const text = textOf(message);
  const isRight =
    isCmd(message, answer.cmd) &&
    message.error === error &&
    (answer.msgid === undefined || message.msgid === answer.msgid) &&
    message.circuit === (answer.circuit ?? 0n) &&
    (answer.text === undefined ||
      (text !== null && (typeof answer.text === 'string' ? text === answer.text : answer.text.test(text))));
  if (isRight) return null;
  const wanted = describeMessage({
    cmd: answer.cmd >>> 0,
    msgid: answer.msgid ?? message.msgid,
    error,
    circuit: answer.circuit ?? 0n,
  });
  return `expected ${wanted} ${String(answer.text ?? '')}, got ${describeMessage(message)} ${text ?? ''}`;
}
