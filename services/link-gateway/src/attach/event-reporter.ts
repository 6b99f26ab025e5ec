import { Metadata } from '@grpc/grpc-js';
import { EventReportsClient, ReportEventsRequest } from '@spanmesh/proto/v1/event_report';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import type { ChannelSecurity } from '@spanmesh/runtime/tls/tls-credentials';

/** How long a report may take, ms. */
const REPORT_MS = 5000;
/** Reports under way; further ones are dropped. */
export const MAX_REPORTS = 4;

export interface EventReporterOptions {
  /** `host:port` of the leader's service port; null: it is not known. */
  readonly address: () => string | null;
  readonly security: ChannelSecurity;
}

/**
 * Reports events of a gateway without NATS to the leader of topology: each report once; one that does not arrive is
 * lost.
 */
export class EventReporter {
  readonly #options: EventReporterOptions;
  #client: EventReportsClient | null = null;
  #address = '';
  #underWay = 0;
  #isStopped = false;

  constructor(options: EventReporterOptions) {
    this.#options = options;
  }

  /** `report`: an encoded ReportEventsRequest. */
  report(report: Uint8Array): void {
    const address = this.#options.address();
    if (this.#isStopped || address === null || this.#underWay >= MAX_REPORTS) return;
    if (address !== this.#address) {
      this.#client?.close();
      this.#client = createClient(EventReportsClient, address, { security: this.#options.security });
      this.#address = address;
    }
    this.#underWay++;
    const deadline = Date.now() + REPORT_MS;
    this.#client?.reportEvents(ReportEventsRequest.decode(report), new Metadata(), { deadline }, () => {
      this.#underWay--;
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#client?.close();
  }
}
