/** Why a replica that does not lead gives no answer, as a sentence that says whom to ask. `leader`: where that is, empty: nobody known. */
export function notLeading(service: string, leader: string): string {
  if (leader === '') return `No ${service} replica leads at the moment: try again.`;
  return `This ${service} replica does not lead: ask the one at ${leader}.`;
}
