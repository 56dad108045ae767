/**
 * A line that GitHub's runner obeys: `::error file=a.sql,line=3::message`. Its own escaping: a message may have several
 * lines, a property may hold what separates properties.
 */
export function workflowCommand(
  name: 'error' | 'warning',
  properties: Readonly<Record<string, string | number | undefined>>,
  message: string,
): string {
  const present = Object.entries(properties).filter(([, value]) => value !== undefined);
  const text = present.map(([key, value]) => `${key}=${escapeProperty(String(value))}`).join(',');
  return `::${name}${text === '' ? '' : ` ${text}`}::${escapeData(message)}\n`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** A line of the log that the runner leaves alone, whatever a tenant is called; the text is one line. */
export function logLine(text: string): string {
  return `${text.replace(/^(\s*)::/, '$1: :').replaceAll('##[', '## [')}\n`;
}
