import { RefusalReason } from '@spanmesh/proto/v1/gateway_control';
import type { AttachRefusal } from './attach.ts';

type Text = Pick<AttachRefusal, 'why' | 'advice'>;

/** The text for a reason that this version does not know. */
const REPORT: Text = {
  why: 'topology does not take this gateway on, for a reason that this version does not know',
  advice: 'upgrade this gateway to the version of topology',
};

/** What each reason means, and what an operator can do. */
const TEXTS: Readonly<Partial<Record<RefusalReason, Text>>> = {
  [RefusalReason.REFUSAL_REASON_DECLARED_DEAD]: {
    why: 'topology had declared this gateway dead',
    advice: 'none: it keeps its connections and comes back under another boot id; look for what had cut it off',
  },
  [RefusalReason.REFUSAL_REASON_NAME_TAKEN]: {
    why: 'another gateway of this name lives',
    advice: 'give each gateway a name of its own (SPANMESH_GATEWAY_NAME), or stop the other one',
  },
  [RefusalReason.REFUSAL_REASON_OTHER_INSTALLATION]: {
    why: 'the topology that this gateway has asked belongs to another installation',
    advice: 'set SPANMESH_INSTALLATION alike in both, or let SPANMESH_TOPOLOGY_ADDRESS name its own topology',
  },
  [RefusalReason.REFUSAL_REASON_VERSION]: {
    why: 'the versions of this gateway and of topology are too far from each other',
    advice: 'upgrade the older of the two, one release at a time',
  },
  [RefusalReason.REFUSAL_REASON_EPOCH]: {
    why: 'the epoch that this gateway has obeyed last cannot be',
    advice: 'set the clock of the host of topology right, or restart this gateway if its own was wrong',
  },
  [RefusalReason.REFUSAL_REASON_TOO_MANY]: {
    why: 'topology has as many gateways as it takes',
    advice: 'stop gateways that are not needed (docs/limits.md)',
  },
  [RefusalReason.REFUSAL_REASON_NOT_ALLOWED]: {
    why: 'the certificate of this gateway does not allow it to be this gateway',
    advice: 'give it a certificate for link-gateway and its name (docs/security.md)',
  },
};

/** A refusal, for people. `by`: address of the replica. */
export function explain(reason: RefusalReason, by: string): AttachRefusal {
  return { reason, by, ...(TEXTS[reason] ?? REPORT) };
}
