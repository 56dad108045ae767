/** Integers by what they hold. */
const integers = ['smallint', 'integer', 'bigint'];
const texts = ['text', 'character varying'];

/** Does every value of a type fit another one, unchanged? No is the answer where it is not known. */
export function isWidening(from: string, to: string): boolean {
  if (from === to) return true;
  const [source, target] = [parse(from), parse(to)];
  const step = integers.indexOf(target.base) - integers.indexOf(source.base);
  if (integers.includes(source.base) && integers.includes(target.base)) return step >= 0;
  if (integers.includes(source.base) && target.base === 'numeric') return target.sizes.length === 0;
  if (texts.includes(source.base) && texts.includes(target.base)) return isLonger(source.sizes[0], target.sizes[0]);
  if (source.base !== target.base) return false;
  if (source.base === 'numeric') return isFiner(source.sizes, target.sizes);
  return ['bit varying', 'timestamp with time zone', 'timestamp without time zone'].includes(source.base)
    ? isLonger(source.sizes[0], target.sizes[0])
    : false;
}

function parse(type: string): { readonly base: string; readonly sizes: readonly number[] } {
  const sizes = /\(([\d, -]+)\)/.exec(type)?.[1]?.split(',').map(Number) ?? [];
  return { base: type.replace(/\s*\([\d, -]+\)/, ''), sizes };
}

/** No length is any length. */
function isLonger(from: number | undefined, to: number | undefined): boolean {
  return to === undefined || (from !== undefined && from <= to);
}

function isFiner(from: readonly number[], to: readonly number[]): boolean {
  const [precision, scale = 0] = from;
  const [toPrecision, toScale = 0] = to;
  if (toPrecision === undefined) return true;
  return precision !== undefined && scale <= toScale && precision - scale <= toPrecision - toScale;
}
