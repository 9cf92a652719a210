import type { Day, Plan } from '../types/index.js';
import { rows, show } from './board.js';

const EVERY = 60_000;

/** Keeps the board up to date; what it shows stays when the office's line is down. */
export async function refresh(body: HTMLTableSectionElement, url: string): Promise<never> {
  for (;;) {
    try {
      const answer = await fetch(url, { cache: 'no-store' });
      // TODO: say on the board how old the plan is when the answer is not a new one.
      if (answer.ok) show(body, rows((await answer.json()) as Plan, new Date().toISOString().slice(0, 10) as Day));
    } catch (error) {
      console.warn('the plan cannot be fetched', error);
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}
