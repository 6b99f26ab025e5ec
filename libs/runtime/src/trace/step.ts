/** Attributes of a step. */
export type StepAttributes = Readonly<Record<string, string | number | boolean>>;

/** Kind of a step in a trace: the answering or the asking side of a call, or neither. */
export type StepKind = 'server' | 'client' | 'internal';

export interface StepOptions {
  /** The context of the step that this one is a part of; null: a trace begins. */
  readonly parent?: Uint8Array | null;
  readonly kind?: StepKind;
  readonly attributes?: StepAttributes;
}

/** A part of a trace, in one process, from `begin` to `end`. (OpenTelemetry calls it a span, which is something else here.) */
export interface Step {
  /** For the next step of the trace, in another process or in this one: TRACE_CONTEXT_BYTES. */
  readonly context: Buffer;
  /** Something has happened in it. */
  note(what: string, attributes?: StepAttributes): void;
  /** It is over. `failure`: why it did not come to what it should. Harmless the second time. */
  end(failure?: string): void;
}

export interface Tracer {
  begin(name: string, options?: StepOptions): Step;
  /** Sends what is left. */
  stop(): Promise<void>;
}
