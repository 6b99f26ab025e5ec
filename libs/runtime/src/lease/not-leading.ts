/**
 * A sentence of a replica that does not lead, which says whom to ask instead. `leader`: the leader's address; empty:
 * unknown.
 */
export function notLeading(service: string, leader: string): string {
  if (leader === '') return `No ${service} replica leads at the moment: try again.`;
  return `This ${service} replica does not lead: ask the one at ${leader}.`;
}
