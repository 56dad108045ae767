/** What a JSON value must look like: gives it back with its known keys in their order, or throws a `ShapeError`. */
export type Shape = (value: unknown) => unknown;

/** Thrown for a value that is not as it must be. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
  readonly #expected: string;
  readonly #path: string;

  constructor(expected: string, path = '') {
    super(`${path === '' ? 'it' : path.replace(/^\./, '')} should be ${expected}`);
    this.#expected = expected;
    this.#path = path;
  }

  /** The same of what holds the value: `.tables`, `[3]`. */
  within(step: string): ShapeError {
    return new ShapeError(this.#expected, `${step}${this.#path}`);
  }
}

function checked(isRight: (value: unknown) => boolean, expected: string): Shape {
  return (value) => {
    if (isRight(value)) return value;
    throw new ShapeError(expected);
  };
}

export const text = checked((value) => typeof value === 'string', 'text');
export const flag = checked((value) => typeof value === 'boolean', 'true or false');
export const count = checked((value) => Number.isSafeInteger(value) && (value as number) >= 0, 'a whole number');

/** Milliseconds need not be whole. */
export const amount = checked((value) => typeof value === 'number' && value >= 0, 'a number from 0 on');

export const anyObject = checked(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object',
);

export const instant = checked(
  (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
  'a time like 2026-11-22T10:15:00Z',
);

export function matching(pattern: RegExp, expected: string): Shape {
  return checked((value) => typeof value === 'string' && pattern.test(value), expected);
}

export function oneOf(...words: readonly string[]): Shape {
  return checked((value) => words.some((word) => word === value), words.map((word) => `"${word}"`).join(' or '));
}

export function orNull(shape: Shape): Shape {
  return (value) => (value === null ? null : shape(value));
}

export function list(shape: Shape): Shape {
  return (value) => {
    if (!Array.isArray(value)) throw new ShapeError('a list');
    return value.map((item, index) => inside(shape, item, () => `[${index}]`));
  };
}

/** Texts by names of the writer's choice. */
export const texts: Shape = (value) => {
  const given = asObject(value);
  for (const [key, item] of Object.entries(given)) inside(text, item, () => `.${key}`);
  return given;
};

/** Keys that a newer tenantctl has added stay, after the known ones. `maybe`: those that need not be there. */
export function object(shapes: Readonly<Record<string, Shape>>, maybe: readonly string[] = []): Shape {
  const known = Object.entries(shapes).map(([key, shape]) => ({
    key,
    shape,
    step: () => `.${key}`,
    mayLack: maybe.includes(key),
  }));
  return (value) => {
    const given = asObject(value);
    const ordered: Record<string, unknown> = {};
    for (const { key, shape, step, mayLack } of known) {
      if (mayLack && given[key] === undefined) continue;
      ordered[key] = inside(shape, given[key], step);
    }
    for (const key of Object.keys(given)) if (!Object.hasOwn(shapes, key)) ordered[key] = given[key];
    return ordered;
  };
}

/** One of several objects, told apart by a key. */
export function variants(key: string, shapes: Readonly<Record<string, Shape>>): Shape {
  const other = object({ [key]: oneOf(...Object.keys(shapes)) });
  return (value) => {
    const kind = asObject(value)[key];
    const shape = typeof kind === 'string' && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
    return (shape ?? other)(value);
  };
}

function inside(shape: Shape, value: unknown, step: () => string): unknown {
  try {
    return shape(value);
  } catch (error) {
    throw error instanceof ShapeError ? error.within(step()) : error;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ShapeError('an object');
}
