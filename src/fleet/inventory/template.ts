import { closest } from '../did-you-mean.ts';
import { quoted } from './names.ts';

const placeholder = /\{([^{}]*)\}/g;

/** What is wrong with a template that may hold these placeholders, or null. */
export function templateProblem(template: string, known: readonly string[]): string | null {
  for (const [, name = ''] of template.matchAll(placeholder)) {
    if (known.includes(name)) continue;
    const near = closest(name, known);
    const meant =
      near === null ? `known here: ${known.map((each) => `{${each}}`).join(', ')}` : `did you mean {${near}}?`;
    return `unknown placeholder ${quoted(`{${name}}`)}: ${meant}`;
  }
  return /[{}]/.test(template.replace(placeholder, ''))
    ? `${quoted(template)} holds a brace without its partner`
    : null;
}

/** Fills in once: braces inside a value stay as they are. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  // The commonest template, once for each of thousands of tenants.
  if (template === '{schema}') return values.schema ?? template;
  return template.replace(placeholder, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? whole) : whole,
  );
}
