import type { Event } from '@spanmesh/proto/v1/events';
import { EVENT_KINDS, eventKindName } from '@spanmesh/runtime/events/event-kind-name';
import { printableSentence } from '../output/label.ts';
import { dialectName, quoted } from '../views/words.ts';

/** Names of all kinds of event. */
export const KIND_NAMES: readonly string[] = [...EVENT_KINDS.keys()];

/** In which colour an event is shown. */
export type EventTone = 'good' | 'warn' | 'bad' | 'plain';

const TONES: Readonly<Record<string, EventTone>> = {
  'peer-up': 'good',
  'peer-down': 'warn',
  'target-up': 'good',
  'target-failed': 'bad',
  'gateway-joined': 'good',
  'gateway-lost': 'warn',
  'gateway-dead': 'bad',
  'replica-joined': 'good',
  'replica-lost': 'bad',
  'leader-changed': 'warn',
  'certificates-bad': 'bad',
  'keys-bad': 'bad',
  'limit-hit': 'bad',
};

/** The name of an event's kind, for people. */
export function kindText({ kind }: Event): string {
  return eventKindName(kind);
}

export function eventTone(event: Event): EventTone {
  return TONES[kindText(event)] ?? 'plain';
}

/** What happened, as a sentence without its kind and its time; safe to print. */
export function eventText(event: Event): string {
  const { count, firstTime } = event;
  const times = count > 1 ? `(${count} times since ${firstTime?.toISOString() ?? '?'})` : '';
  const shown = details(event).map((part) => (typeof part === 'string' ? printableSentence(part) : quoted(part.label)));
  return parts(printableSentence(event.subject), ...shown, times);
}

/** A detail of an event: a plain text, or the label of a peer, which is quoted. */
type Detail = string | { readonly label: string };

function details({ subject, peer, target, member, drain, files, limit, operator }: Event): readonly Detail[] {
  if (peer !== undefined) {
    const { address, dialect, keyName, reason, label } = peer;
    return [address, dialect === 0 ? '' : dialectName(dialect), { label }, keyName, dashed(reason)];
  }
  if (target !== undefined) {
    const { address, gateway, error } = target;
    return [address, gateway === '' ? '' : `by ${gateway}`, dashed(error)];
  }
  if (member !== undefined) {
    const { address, epoch, version, reason } = member;
    return [
      address === '' || subject.endsWith(address) ? '' : `at ${address}`,
      epoch === 0 ? '' : `epoch ${epoch}`,
      version,
      dashed(reason),
    ];
  }
  if (drain !== undefined) {
    const { order, done, chosen, closed, cut } = drain;
    const what = done ? `done: ${closed} closed, ${cut} cut off` : `begins: ${chosen} connections`;
    return [order === '' ? 'it stops' : `order ${order}`, what];
  }
  if (files !== undefined) {
    const { files: names, inUse, error } = files;
    const others = names.filter((name) => name !== subject).join(', ');
    return [others, inUse === 0 ? '' : `${inUse} peers`, dashed(error)];
  }
  if (limit !== undefined) {
    const { limit: what, value, held, ofAll } = limit;
    return [`${what}: had ${held}, ${ofAll ? 'and all together' : 'its share is'} ${value}`];
  }
  if (operator !== undefined) {
    const { who, from, method, what, error, byConsole } = operator;
    const whence = `from ${from}${byConsole ? ' at the console' : ''}`;
    return [method, what, 'by', who === '' ? 'somebody' : who, whence, error === '' ? '' : `- refused: ${error}`];
  }
  return [];
}

function dashed(text: string): string {
  return text === '' ? '' : `- ${text}`;
}

function parts(...some: readonly string[]): string {
  return some.filter((part) => part !== '').join(' ');
}
