import { type CallShareDeps, CallShares } from '@spanmesh/runtime/grpc/call-shares';
import {
  MAX_ANSWERS,
  MAX_ANSWERS_PER_USER,
  MAX_TRAFFIC_ANSWERS,
  MAX_TRAFFIC_ANSWERS_PER_USER,
  MAX_TREES,
  MAX_TREES_PER_USER,
  MAX_WATCHES,
  MAX_WATCHES_PER_USER,
} from './api/limits.ts';

const LIMITS = {
  watches: { total: MAX_WATCHES, share: MAX_WATCHES_PER_USER },
  trees: { total: MAX_TREES, share: MAX_TREES_PER_USER },
  answers: { total: MAX_ANSWERS, share: MAX_ANSWERS_PER_USER },
  'answers about traffic': { total: MAX_TRAFFIC_ANSWERS, share: MAX_TRAFFIC_ANSWERS_PER_USER },
} as const;

/** The shares of users of the API at one replica. */
export class ApiShares extends CallShares<keyof typeof LIMITS> {
  constructor(deps: CallShareDeps) {
    super(LIMITS, deps);
  }
}
