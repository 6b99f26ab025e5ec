/** Default place of the rules' runbook paragraphs: the path in this project. */
const RUNBOOK = 'docs/runbook.md';

/**
 * The rules of `rules.yaml` with the paragraphs at another address than the path in this project. `base`: URL or path
 * of the runbook.
 */
export function withRunbook(rules: string, base: string): string {
  return rules.replaceAll(`runbook_url: ${RUNBOOK}#`, () => `runbook_url: ${base}#`);
}

/** The rules in the form of the Prometheus operator. `rules`: those of `rules.yaml`. */
export function prometheusRule(rules: string): string {
  const groups = rules.slice(rules.indexOf('groups:'));
  return `# Made from deploy/monitoring/rules.yaml by \`npm run docs:generate\`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: spanmesh
  labels:
    app.kubernetes.io/name: spanmesh
    app.kubernetes.io/component: monitoring
    app.kubernetes.io/part-of: spanmesh
spec:
${groups.replaceAll(/^(?=.)/gm, '  ')}`;
}
