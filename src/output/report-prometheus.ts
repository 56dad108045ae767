import { inChunks } from './chunks.ts';
import type { Metric } from './metrics.ts';

/** The text format of Prometheus, as node_exporter's textfile collector reads it. All are gauges. */
export function prometheusReport(metrics: readonly Metric[]): Generator<string> {
  return inChunks(metricLines(metrics));
}

function* metricLines(metrics: readonly Metric[]): Generator<string> {
  for (const { name, help, samples } of metrics) {
    if (samples.length === 0) continue;
    yield `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} gauge\n`;
    for (const { labels, value } of samples) yield `${name}${labelText(labels)} ${value}\n`;
  }
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
