import type { OutputStream } from '../context.ts';
import type { EventListener } from '../fleet/events.ts';
import type { Style } from './style.ts';

/** What a person or a log sees on stderr while a command runs. */
export interface Progress {
  /** Never throws: a display that breaks must not hurt a migration. */
  readonly onEvent: EventListener;
  /** Ends the display and gives the terminal back, at once; a second call does nothing. */
  readonly close: () => void;
}

export interface ProgressOptions {
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly style: Style;
  readonly now: () => Date;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** False when something else writes to the same terminal while the run lasts. */
  readonly isLiveAllowed?: boolean;
}
