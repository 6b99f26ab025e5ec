/** Attributes of a step. */
export type StepAttributes = Readonly<Record<string, string | number | boolean>>;

/** Kind of a step in a trace: the answering or the asking side of a call, or neither. */
export type StepKind = 'server' | 'client' | 'internal';

export interface StepOptions {
  /** The context of the step of which this is a part; null: it begins a trace. */
  readonly parent?: Uint8Array | null;
  readonly kind?: StepKind;
  readonly attributes?: StepAttributes;
}

/**
 * A part of a trace, in one process, from `begin` to `end`. (OpenTelemetry's name is span, which is something else
 * here.)
 */
export interface Step {
  /** The context for steps below this one, in another process or in this one: TRACE_CONTEXT_BYTES. */
  readonly context: Buffer;
  /** Records an event within the step. */
  note(what: string, attributes?: StepAttributes): void;
  /** Ends the step. `failure`: why it has failed. Harmless the second time. */
  end(failure?: string): void;
}

export interface Tracer {
  begin(name: string, options?: StepOptions): Step;
  /** Sends the steps that are left. */
  stop(): Promise<void>;
}
