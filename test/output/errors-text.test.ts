import { describe, expect, it } from 'vitest';
import { InternalError, RefusedError, TenantError, UsageError } from '../../src/errors.ts';
import { errorText } from '../../src/output/errors-text.ts';
import { isColorWanted, makeStyle, noStyle } from '../../src/output/style.ts';

describe('errorText', () => {
  it('says error, details and hint', () => {
    const error = new UsageError('2 mistakes in tenants.yaml', { details: ['1:2 a', '3:4 b'], hint: 'mend them' });
    expect(errorText(error)).toBe('error: 2 mistakes in tenants.yaml\n  1:2 a\n  3:4 b\nhint: mend them\n');
    expect(errorText(new RefusedError('not confirmed'))).toBe('error: not confirmed\n');
    const failure = { message: 'no such table', sqlState: '42P01', file: 'm/1.sql', line: 3, hint: 'look' };
    expect(errorText(new TenantError(failure))).toBe('error: 42P01 no such table (1.sql:3)\nhint: look\n');
  });

  it('shows a stack with its causes only for --debug', () => {
    const error = new InternalError('lost a tenant', { cause: new Error('the root') });
    expect(errorText(error)).toMatch(/^error: internal error: lost a tenant\nhint: .*--debug.*\n$/u);
    const debug = errorText(error, { debug: true });
    expect(debug).toContain('errors-text.test.ts');
    expect(debug).toContain('caused by:\nError: the root');
    expect(errorText(new TypeError('x is not a function'))).toContain('internal error: TypeError: x is not a function');
    expect(errorText('text')).toContain('internal error: text');
  });

  it('makes hostile text visible', () => {
    const error = new UsageError('bad\u001b[2J\nhint: rm -rf', { details: ['\u009b'], hint: '\u202e' });
    expect(errorText(error)).toBe('error: bad\\x1b[2J\\nhint: rm -rf\n  \\x9b\nhint: \\u{202e}\n');
  });
});

describe('colour', () => {
  const tty = { isTTY: true };
  it.each([
    ['a terminal', 'auto', {}, true, true],
    ['a pipe', 'auto', {}, false, false],
    ['NO_COLOR', 'auto', { NO_COLOR: '1' }, true, false],
    ['an empty NO_COLOR', 'auto', { NO_COLOR: '' }, true, true],
    ['TERM=dumb', 'auto', { TERM: 'dumb' }, true, false],
    ['FORCE_COLOR', 'auto', { FORCE_COLOR: '1' }, false, true],
    ['FORCE_COLOR=0', 'auto', { FORCE_COLOR: '0' }, true, false],
    ['NO_COLOR and FORCE_COLOR', 'auto', { NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    ['--color always', 'always', { NO_COLOR: '1' }, false, true],
    ['--color never', 'never', { FORCE_COLOR: '1' }, true, false],
  ] as const)('%s', (_name, mode, env, isTTY, wanted) => {
    expect(isColorWanted(mode, env, { isTTY })).toBe(wanted);
  });

  it('paints, or leaves the text alone', () => {
    expect(makeStyle('always', {}, tty).red('x')).toBe('\u001b[31mx\u001b[39m');
    expect(makeStyle('never', {}, tty)).toBe(noStyle);
    expect(noStyle.red('x')).toBe('x');
  });
});
