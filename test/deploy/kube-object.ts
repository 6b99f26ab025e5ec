/** Labels of an object, or of the objects that a selector chooses. */
export type Labels = Readonly<Record<string, string>>;

/** Chooses objects by labels; an empty one chooses all. */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVariable[];
  readonly envFrom?: readonly {
    readonly configMapRef?: { readonly name: string };
    readonly secretRef?: { readonly name: string; readonly optional?: boolean };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: { readonly exec?: { readonly command: readonly string[] } } };
  readonly resources?: { readonly requests?: Labels; readonly limits?: Labels };
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly runAsNonRoot?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface EnvVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
  readonly timeoutSeconds?: number;
  readonly periodSeconds?: number;
}

export interface Pod {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly fsGroup?: number;
    readonly seccompProfile?: { readonly type: string };
  };
  readonly tolerations?: readonly { readonly key: string; readonly tolerationSeconds?: number }[];
  readonly topologySpreadConstraints?: readonly { readonly labelSelector: LabelSelector }[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly configMap?: { readonly name: string };
    readonly secret?: {
      readonly secretName: string;
      readonly optional?: boolean;
      readonly defaultMode?: number;
      readonly items?: readonly { readonly key: string; readonly path: string }[];
    };
  }[];
}

/** One end of a rule of a NetworkPolicy. */
export interface PolicyPeer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

/** One rule of a NetworkPolicy. */
export interface PolicyRule {
  readonly from?: readonly PolicyPeer[];
  readonly to?: readonly PolicyPeer[];
  readonly ports?: readonly { readonly port: string | number }[];
}

/** The fields of a Kubernetes object that the checks read: its schema has been checked before. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly automountServiceAccountToken?: boolean;
  readonly data?: Labels;
  readonly spec: {
    readonly replicas?: number;
    /** For a Service the labels themselves, for other objects a LabelSelector. */
    readonly selector?: Labels & LabelSelector;
    readonly serviceName?: string;
    readonly podManagementPolicy?: string;
    readonly template?: { readonly metadata: { readonly labels: Labels }; readonly spec: Pod };
    readonly volumeClaimTemplates?: readonly KubeObject[];
    readonly type?: string;
    readonly clusterIP?: string;
    readonly externalTrafficPolicy?: string;
    readonly ports?: readonly {
      readonly name: string;
      readonly port: number;
      readonly targetPort: string;
      readonly appProtocol?: string;
    }[];
    readonly podSelector?: LabelSelector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly PolicyRule[];
    readonly egress?: readonly PolicyRule[];
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
    readonly minReplicas?: number;
    readonly metrics?: readonly {
      readonly pods?: { readonly metric: { readonly name: string } };
      readonly resource?: { readonly name: string; readonly target: { readonly averageValue?: string } };
    }[];
    readonly behavior?: {
      readonly scaleDown: { readonly policies: readonly { readonly value: number; readonly periodSeconds: number }[] };
    };
    readonly podMetricsEndpoints?: readonly { readonly port: string }[];
    readonly groups?: readonly {
      readonly rules: readonly {
        readonly alert: string;
        readonly expr: string;
        readonly annotations?: Readonly<Record<string, string>>;
      }[];
    }[];
    readonly secretName?: string;
    readonly issuerRef?: { readonly kind: string; readonly name: string };
    readonly ca?: { readonly secretName: string };
    readonly dnsNames?: readonly string[];
  };
}

/** An object that runs pods: a Deployment or a StatefulSet. */
export interface Workload {
  readonly object: KubeObject;
  readonly name: string;
  readonly labels: Labels;
  readonly pod: Pod;
  /** The first container, which runs the service; the others are helpers. */
  readonly container: Container;
}

export function workloads(objects: readonly KubeObject[]): Workload[] {
  return objects.flatMap((object) => {
    const template = object.spec?.template;
    if (template === undefined) return [];
    const [container] = template.spec.containers;
    const { name } = object.metadata;
    if (container === undefined) throw new Error(`${name}: a container was expected`);
    return [{ object, name, labels: template.metadata.labels, pod: template.spec, container }];
  });
}

/** Whether a selector chooses objects with these labels. @throws for an operator other than In */
export function selects({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      if (operator !== 'In') throw new Error(`${operator} is not known`);
      return values.includes(labels[key] ?? '');
    })
  );
}
