/** One proposal for the word at the cursor. */
export interface Candidate {
  readonly value: string;
  readonly description?: string;
}

/** What to propose; `files`: the shell's own names of files. */
export type Proposal = readonly Candidate[] | 'files';

/** More proposals than this are no help, and shells become slow. */
const maxCandidates = 1000;

/**
 * The lines that a shell's script reads: a value, a tab, its description; the last line says whether files are meant
 * (`:0`) or not (`:4`). Values are whole words, for the one that is there. What a line cannot hold is left out.
 */
export function proposalLines(proposal: Proposal, prefix: string, text: string): string {
  if (proposal === 'files') return ':0\n';
  const fitting = new Map(
    proposal
      .filter(({ value }) => value.startsWith(text) && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value))
      .slice(0, maxCandidates)
      .map((candidate) => [candidate.value, candidate.description ?? '']),
  );
  const lines = [...fitting].map(([value, description]) => {
    const words = description.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
    return words === '' ? `${prefix}${value}\n` : `${prefix}${value}\t${words}\n`;
  });
  return `${lines.join('')}:4\n`;
}

/** Values in a list with commas: the part before the last comma stays, and is not proposed again. */
export function inList(candidates: readonly Candidate[], text: string): readonly Candidate[] {
  const begin = text.slice(0, text.lastIndexOf(',') + 1);
  const taken = new Set(begin.split(','));
  return candidates
    .filter(({ value }) => !taken.has(value))
    .map((candidate) => ({ ...candidate, value: `${begin}${candidate.value}` }));
}
