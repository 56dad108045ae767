/** Lines of context around a change, as diff(1) has them. */
const context = 3;

/** Above this many pairs of lines the table of common parts would cost more than the answer is worth. */
const maxPairs = 4_000_000;

interface Edit {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** A unified diff of two texts, without a head: `@@ -3,7 +3,8 @@`, then lines that begin with a blank, `-` or `+`. */
export function unifiedDiff(before: string, after: string): readonly string[] {
  return hunksOf(editsBetween(before.split('\n'), after.split('\n')));
}

function editsBetween(before: readonly string[], after: readonly string[]): readonly Edit[] {
  const isEqual = (index: number, fromEnd: boolean) =>
    fromEnd ? before.at(-1 - index) === after.at(-1 - index) : before[index] === after[index];
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && isEqual(head, false)) head += 1;
  let tail = 0;
  while (tail < shorter - head && isEqual(tail, true)) tail += 1;
  const same = (text: string): Edit => ({ sign: ' ', text });
  return [
    ...before.slice(0, head).map(same),
    ...editsOfMiddle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

/** By the longest common subsequence. */
function editsOfMiddle(before: readonly string[], after: readonly string[]): readonly Edit[] {
  const removed = (text: string): Edit => ({ sign: '-', text });
  const added = (text: string): Edit => ({ sign: '+', text });
  if (before.length * after.length > maxPairs) return [...before.map(removed), ...after.map(added)];
  const common = commonLengths(before, after);
  const width = after.length + 1;
  const edits: Edit[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      edits.push({ sign: ' ', text: before[i]! });
      i += 1;
      j += 1;
    } else if (common[(i + 1) * width + j]! >= common[i * width + j + 1]!) {
      edits.push(removed(before[i]!));
      i += 1;
    } else {
      edits.push(added(after[j]!));
      j += 1;
    }
  }
  return [...edits, ...before.slice(i).map(removed), ...after.slice(j).map(added)];
}

/** At `i * (after.length + 1) + j`: how many lines `before` from i and `after` from j have in common, in order. */
function commonLengths(before: readonly string[], after: readonly string[]): Uint32Array {
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      lengths[at] =
        before[i] === after[j] ? lengths[at + width + 1]! + 1 : Math.max(lengths[at + width]!, lengths[at + 1]!);
    }
  }
  return lengths;
}

function hunksOf(edits: readonly Edit[]): readonly string[] {
  const lines: string[] = [];
  let at = 0;
  let [oldLine, newLine] = [1, 1];
  for (const [start, end] of hunkSpans(edits)) {
    for (; at < start; at += 1) {
      oldLine += 1;
      newLine += 1;
    }
    const hunk = edits.slice(start, end);
    const oldCount = hunk.filter(({ sign }) => sign !== '+').length;
    const newCount = hunk.filter(({ sign }) => sign !== '-').length;
    lines.push(`@@ -${oldLine},${oldCount} +${newLine},${newCount} @@`);
    lines.push(...hunk.map(({ sign, text }) => `${sign}${text}`));
    oldLine += oldCount;
    newLine += newCount;
    at = end;
  }
  return lines;
}

/** Where hunks begin and end: each change with its context; those that touch are one. */
function hunkSpans(edits: readonly Edit[]): readonly (readonly [number, number])[] {
  const spans: [number, number][] = [];
  for (const [index, { sign }] of edits.entries()) {
    if (sign === ' ') continue;
    const start = Math.max(0, index - context);
    const end = Math.min(edits.length, index + context + 1);
    const last = spans.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = end;
    else spans.push([start, end]);
  }
  return spans;
}
