import { jsonSchema, outcomeJson, summaryJson } from './outcome-json.ts';
import type { ReportMeta, Result } from './result.ts';
import { safeJson } from './safe-text.ts';

/** Pieces of about this many characters: few writes, and never the whole document in memory. */
const chunkLength = 64 * 1024;

/** The one json document, in pieces: its head on a line, then an outcome a line. */
export function* jsonReport(result: Result, meta: ReportMeta): Generator<string> {
  const head = safeJson({ schema: jsonSchema, ...summaryJson(result, meta) });
  let chunk = `${head.slice(0, -1)},"outcomes":[`;
  let separator = '\n';
  for (const outcome of result.outcomes) {
    chunk += separator + safeJson(outcomeJson(outcome));
    separator = ',\n';
    if (chunk.length < chunkLength) continue;
    yield chunk;
    chunk = '';
  }
  yield `${chunk}${result.outcomes.length > 0 ? '\n' : ''}]}\n`;
}
