import { Listr, type ListrTaskObject, type ListrTaskWrapper, Spinner } from 'listr2';
import type { OutputStream } from '../context.ts';
import { type LiveLine, LiveRegion } from './live-region.ts';
import type { Style } from './style.ts';
import { cutText } from './text.ts';

/** More lines would push the failures off a small screen. */
const maxServerLines = 10;

/** What the board asks each time it draws; all texts are safe to print. */
export interface BoardSource {
  readonly servers: readonly string[];
  /** The line above the servers. */
  header(): string;
  /** Lines below the servers, which come and go. */
  footer(): readonly string[];
  /** A server's line, and whether it goes on. */
  line(server: string): { readonly text: string; readonly state: 'working' | 'done' | 'failed' };
}

export interface Board {
  /** Lines that stay above the board. */
  readonly print: (lines: readonly string[]) => void;
  /** Takes the board away and gives the cursor back, at once. */
  readonly close: () => void;
}

type ServerTask = ListrTaskWrapper<unknown, typeof BoardRenderer, typeof BoardRenderer>;

/** Shows one line a server until it is closed: a listr2 task for each, drawn by a renderer of our own. */
export function openBoard(stream: OutputStream, style: Style, source: BoardSource): Board {
  const region = new LiveRegion(stream);
  const open = new Map<string, { readonly task: ServerTask; readonly end: PromiseWithResolvers<void> }>();
  const update = (): void => {
    for (const [server, { task, end }] of open) {
      const { text, state } = source.line(server);
      task.title = text;
      if (state === 'working') continue;
      open.delete(server);
      if (state === 'done') end.resolve();
      else end.reject(new Error(text));
    }
  };
  const tasks = source.servers.map((server) => ({
    title: source.line(server).text,
    task: (_: unknown, task: ServerTask): Promise<void> => {
      const end = Promise.withResolvers<void>();
      open.set(server, { task, end });
      return end.promise;
    },
  }));
  const spinner = new Spinner();
  const options = { stream, style, region, spinner, update, source };
  const list = new Listr<unknown, typeof BoardRenderer, typeof BoardRenderer>(tasks, {
    concurrent: true,
    exitOnError: false,
    // Ctrl-C belongs to main; listr2 would end the process in the middle of a migration.
    registerSignalListeners: false,
    renderer: BoardRenderer,
    rendererOptions: options,
    fallbackRenderer: BoardRenderer,
    fallbackRendererOptions: options,
  });
  const closed = list.run().catch(() => {});
  const close = (): void => {
    spinner.stop();
    region.close();
    for (const { end } of open.values()) end.resolve();
    void closed;
  };
  return { print: (lines) => region.print(lines), close };
}

interface BoardRendererOptions {
  readonly stream: OutputStream;
  readonly style: Style;
  readonly region: LiveRegion;
  readonly spinner: Spinner;
  readonly update: () => void;
  readonly source: BoardSource;
}

type BoardTask = ListrTaskObject<unknown, typeof BoardRenderer, typeof BoardRenderer>;

/**
 * listr2's own renderer draws on process.stdout's width, knows no lines that stay above it, and is chosen only when
 * stdout is a terminal: none of that holds for progress on stderr beside `--json > file`.
 */
class BoardRenderer {
  static readonly nonTTY = true;
  static rendererOptions: BoardRendererOptions;
  static rendererTaskOptions: never;
  readonly #tasks: readonly BoardTask[];
  readonly #options: BoardRendererOptions;

  constructor(tasks: BoardTask[], options: BoardRendererOptions) {
    this.#tasks = tasks;
    this.#options = options;
  }

  render(): void {
    this.#draw();
    this.#options.spinner.start(() => {
      this.#options.update();
      this.#draw();
    });
  }

  end(): void {
    this.#options.spinner.stop();
    this.#draw();
  }

  #draw(): void {
    const { region, source, stream, style } = this.#options;
    // The last column stays free: some terminals wrap as soon as it is written.
    const width = Math.max(10, stream.columns - 1);
    const tasks = this.#visibleTasks();
    const hidden = this.#tasks.length - tasks.length;
    const plain = (text: string, paint: (it: string) => string): LiveLine => {
      const cut = cutText(text, width);
      return { plain: cut, painted: paint(cut) };
    };
    region.draw([
      plain(source.header(), style.bold),
      ...tasks.map((task) => this.#taskLine(task, width)),
      ...(hidden > 0 ? [plain(`… and ${hidden} more servers`, style.dim)] : []),
      ...source.footer().map((line) => plain(line, style.yellow)),
    ]);
  }

  /** When there are too many servers, those that still work. */
  #visibleTasks(): readonly BoardTask[] {
    if (this.#tasks.length <= maxServerLines) return this.#tasks;
    const working = this.#tasks.filter((task) => !task.hasFinalized());
    return working.slice(0, maxServerLines);
  }

  #taskLine(task: BoardTask, width: number): LiveLine {
    const { style, spinner } = this.#options;
    const text = cutText(String(task.title ?? ''), width - 2);
    if (task.isCompleted()) return { plain: `✔ ${text}`, painted: `${style.green('✔')} ${text}` };
    if (task.hasFailed()) return { plain: `✖ ${text}`, painted: `${style.red('✖')} ${text}` };
    const frame = spinner.fetch();
    return { plain: `${frame} ${text}`, painted: `${style.yellow(frame)} ${text}` };
  }
}
