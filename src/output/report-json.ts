import { inChunks } from './chunks.ts';
import { jsonSchema, outcomeJson, summaryJson } from './outcome-json.ts';
import type { ReportMeta, Result } from './result.ts';
import { safeJson } from './safe-text.ts';

/** The one json document, in pieces: its head on a line, then an outcome a line. */
export function jsonReport(result: Result, meta: ReportMeta): Generator<string> {
  return inChunks(jsonLines(result, meta));
}

function* jsonLines(result: Result, meta: ReportMeta): Generator<string> {
  const head = safeJson({ schema: jsonSchema, ...summaryJson(result, meta) });
  yield `${head.slice(0, -1)},"outcomes":[`;
  let separator = '\n';
  for (const outcome of result.outcomes) {
    yield separator + safeJson(outcomeJson(outcome));
    separator = ',\n';
  }
  yield `${result.outcomes.length > 0 ? '\n' : ''}]}\n`;
}
