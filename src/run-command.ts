import type { Command, RawOptions } from './commands/command.ts';
import { readDuration, readSwitch, readText, readTexts } from './commands/read-options.ts';
import { spokenName } from './commands/registry.ts';
import type { Context, OutputStream, Prompt } from './context.ts';
import { StoppedError, UsageError } from './errors.ts';
import { type OnSignal, watchInterrupts } from './interrupts.ts';
import { parseFormats } from './output/formats.ts';
import { openOutputs, type ResultStream } from './output/outputs.ts';
import type { RetryCommand } from './output/result.ts';
import { makeResumeCommand, makeRetryCommand } from './output/retry-command.ts';
import type { ColorMode } from './output/style.ts';

/** All that the program needs of the process it runs in; a test makes its own. */
export interface World {
  readonly version: string;
  /** Program and first arguments that run tenantctl again. */
  readonly self: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDir: string;
  readonly osUser: string;
  readonly stdout: ResultStream;
  readonly stderr: OutputStream;
  readonly readStdin: () => Promise<string>;
  readonly prompt: Prompt | null;
  readonly now: () => Date;
  readonly onSignal: OnSignal;
}

/** From flags to the exit code: options, outputs, the command itself, reports. Throws what the caller has to say. */
export async function runCommand(
  command: Command,
  raw: RawOptions,
  args: readonly string[],
  world: World,
): Promise<number> {
  const started = performance.now();
  const options = command.options(raw, args);
  const outputs = await openOutputs({
    command: spokenName(command.name),
    view: command.view,
    formats: parseFormats(readTexts(raw, 'output'), readSwitch(raw, 'json')),
    stdout: world.stdout,
    stderr: world.stderr,
    env: world.env,
    cwd: world.cwd,
    now: world.now,
    color: readColor(raw),
    quiet: readSwitch(raw, 'quiet'),
    verbose: readSwitch(raw, 'verbose'),
    retryCommand: command.canRetry === true ? retryCommandOf(command, raw, options) : null,
  });
  const say = (message: string) => outputs.emit({ type: 'notice', level: 'warning', message });
  const watch = watchInterrupts(world.onSignal, say, readDuration(raw, 'grace') ?? undefined);
  const end = () => {
    const received = watch.received();
    const durationMs = Math.round(performance.now() - started);
    return received === null ? { durationMs } : { durationMs, interrupted: received };
  };
  const context: Context = {
    version: world.version,
    self: world.self,
    env: world.env,
    cwd: world.cwd,
    homeDir: world.homeDir,
    osUser: world.osUser,
    stdout: world.stdout,
    stderr: world.stderr,
    readStdin: world.readStdin,
    prompt: world.prompt,
    now: world.now,
    interrupts: watch.interrupts,
    emit: outputs.emit,
  };
  try {
    return await outputs.finish(await command.run(context, options), end());
  } catch (error) {
    if (error instanceof StoppedError) return await outputs.finish({ outcomes: [], text: [error.message] }, end());
    await outputs.fail(error, end());
    throw error;
  } finally {
    watch.close();
  }
}

function readColor(raw: RawOptions): ColorMode {
  const color = readText(raw, 'color') ?? 'auto';
  if (color === 'auto' || color === 'always' || color === 'never') return color;
  throw new UsageError(`--color takes auto, always or never, not ${JSON.stringify(color)}`);
}

/** The command as it was typed, without its selection; where that would not say the same again, its run. */
function retryCommandOf(command: Command, raw: RawOptions, options: unknown): RetryCommand {
  const config = readText(raw, 'config');
  const inventory = config === null ? [] : ['--config', config];
  const flags = command.retryFlags === undefined ? [] : command.retryFlags(options);
  if (flags === null) return makeResumeCommand(['runs', 'resume', ...inventory]);
  return makeRetryCommand([...spokenName(command.name).split(' '), ...inventory, ...flags]);
}
