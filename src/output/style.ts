import { styleText } from 'node:util';

export type ColorMode = 'auto' | 'always' | 'never';

/** Paints text for one stream, or leaves it alone. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

const plain = (text: string): string => text;

/** For places where colour is never wanted. */
export const noStyle: Style = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };

/** The flag beats the environment; NO_COLOR beats FORCE_COLOR; both count only when they are not empty. */
export function isColorWanted(
  mode: ColorMode,
  env: Readonly<Record<string, string | undefined>>,
  stream: { readonly isTTY: boolean },
): boolean {
  if (mode !== 'auto') return mode === 'always';
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  return stream.isTTY && env.TERM !== 'dumb';
}

export function makeStyle(
  mode: ColorMode,
  env: Readonly<Record<string, string | undefined>>,
  stream: { readonly isTTY: boolean },
): Style {
  if (!isColorWanted(mode, env, stream)) return noStyle;
  // The decision is made above; without this node:util looks at process.stdout and decides again.
  const paint = (format: 'bold' | 'dim' | 'red' | 'green' | 'yellow') => (text: string) =>
    text === '' ? '' : styleText(format, text, { validateStream: false });
  return { bold: paint('bold'), dim: paint('dim'), red: paint('red'), green: paint('green'), yellow: paint('yellow') };
}
