/** One sample of the text format. */
export interface PrometheusSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads the text format of Prometheus as strictly as its own parser does; throws where that would. */
export function readPrometheus(text: string): readonly PrometheusSample[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end');
  const seen = new Set<string>();
  const types = new Map<string, string>();
  let family = '';
  return text.split('\n').flatMap((line) => {
    if (line === '') return [];
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'TYPE' && (rest !== 'gauge' || types.has(name))) throw new Error(`a wrong type: ${line}`);
      if (kind === 'TYPE') types.set(name, rest);
      family = name;
      return [];
    }
    const sample = readSample(line);
    if (sample.name !== family || !types.has(family)) throw new Error(`not below its TYPE: ${line}`);
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).toSorted()]);
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    return [sample];
  });
}

function readSample(line: string): PrometheusSample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line);
  if (match === null) throw new Error(`no sample: ${line}`);
  const [, name = '', text = '', number = ''] = match;
  const value = Number(number);
  if (!Number.isFinite(value)) throw new Error(`no number: ${line}`);
  return { name, labels: readLabels(text), value };
}

function readLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest);
    if (match === null) throw new Error(`no label: ${rest}`);
    const [all, label = '', value = ''] = match;
    if (label in labels) throw new Error(`label twice: ${text}`);
    labels[label] = value.replaceAll(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
    rest = rest.slice(all.length);
  }
  return labels;
}
