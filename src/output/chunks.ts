/** Few writes, and never the whole document in memory. */
const chunkLength = 64 * 1024;

/** The same text in pieces of about 64 k characters. */
export function* inChunks(pieces: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length < chunkLength) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
