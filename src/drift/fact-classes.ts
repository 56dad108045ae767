import type { DriftClass } from './fact.ts';
import { attributeClass } from './facts/fact-kind.ts';
import { factGroups } from './facts/groups.ts';

/** Attributes come with newer servers and never go, so that the newest has all. */
const newestMajor = 99;

const classes = new Map<string, DriftClass>();
for (const fact of factGroups(newestMajor).flatMap(({ kinds }) => kinds)) {
  classes.set(fact.kind, fact.class);
  for (const [name, attribute] of Object.entries(fact.attributes)) {
    classes.set(`${fact.kind}\0${name}`, attributeClass(fact, attribute));
  }
}

/** How much it matters that this attribute differs; `attribute` null: that the object is missing or extra. */
export function classOf(kind: string, attribute: string | null): DriftClass {
  return classes.get(attribute === null ? kind : `${kind}\0${attribute}`) ?? classes.get(kind) ?? 'structural';
}
