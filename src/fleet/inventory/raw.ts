// Reads values that were not checked yet: the checks of meaning run beside the check of shape, so that one
// misspelt key does not hide the other mistakes of a file. What has the wrong shape is passed over here.

export type Mapping = Readonly<Record<string, unknown>>;

export function asMapping(value: unknown): Mapping | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : null;
}

export function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The texts of a list, or null when it is no list of texts. */
export function asTexts(value: unknown): readonly string[] | null {
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : null;
}

/** The entries of a mapping that are its own, `constructor` among them. */
export function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  const mapping = asMapping(value);
  return mapping === null ? [] : Object.entries(mapping);
}

/** The mappings of a list with their positions in it. */
export function mappingsOf(value: unknown): readonly (readonly [number, Mapping])[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each, index) => {
    const mapping = asMapping(each);
    return mapping === null ? [] : [[index, mapping] as const];
  });
}
