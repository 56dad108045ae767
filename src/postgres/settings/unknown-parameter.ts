import { UsageError } from '../../errors.ts';

/** A name that does not look like one may be a piece of a badly quoted password: it is not repeated. */
export function unknownParameter(name: string): UsageError {
  const shown = /^[a-z][a-z_]{0,40}$/i.test(name) ? ` "${name}"` : '';
  return new UsageError(`the connection string has an unknown parameter${shown}`, {
    hint: 'the parameters are those of libpq: host, port, dbname, user, sslmode, options and so on',
  });
}
