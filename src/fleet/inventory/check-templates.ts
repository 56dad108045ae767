import { type Mistake, onValue, type Path } from './mistakes.ts';
import { identifierProblem } from './names.ts';
import { asText, type Mapping } from './raw.ts';
import { templateProblem } from './template.ts';

/** Placeholders of the tenant-level templates, in the file or in one entry. */
export function templateMistakes(entry: Mapping, path: Path): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  const check = (value: unknown, where: Path): void => {
    const template = asText(value);
    if (template === null || template === '') return;
    const problem = templateProblem(template, ['schema', 'id']) ?? literalProblem(template);
    if (problem !== null) mistakes.push(onValue(where, problem));
  };
  check(entry.role, [...path, 'role']);
  if (Array.isArray(entry.searchPath)) {
    for (const [index, value] of entry.searchPath.entries()) check(value, [...path, 'searchPath', index]);
  }
  return mistakes;
}

/** A name without placeholders is the same for every tenant: said once, here. */
function literalProblem(template: string): string | null {
  return template.includes('{') ? null : identifierProblem(template);
}
