import type { Attack } from './attack.ts';
import { API_ATTACKS } from './attacks/api.ts';
import { CONNECTION_ATTACKS } from './attacks/connections.ts';
import { DIAL_ATTACKS } from './attacks/dials.ts';
import { MESSAGE_ATTACKS } from './attacks/messages.ts';
import { SPAN_ATTACKS } from './attacks/spans.ts';
import { TRUNK_ATTACKS } from './attacks/trunk.ts';

/** All attacks, in the order in which they are run. */
export const ATTACKS: readonly Attack[] = [
  ...CONNECTION_ATTACKS,
  ...MESSAGE_ATTACKS,
  ...SPAN_ATTACKS,
  ...DIAL_ATTACKS,
  ...API_ATTACKS,
  ...TRUNK_ATTACKS,
];
