// The pages as a person uses them, by the hooks of the contract. Where the page's layout changes, change this file.
import { expect, type Locator, type Page } from '@playwright/test';
import { lineOf, type Frame, type Status } from './api.ts';

/** What the connection chip can say. */
export type Connection = 'connecting' | 'live' | 'retrying' | 'polling' | 'ended' | 'offline';

/** A frame as the page shows it. */
export interface Shown {
  kind: string;
  /** Its text, white space folded. */
  text: string;
}

/** White space folded, colour codes left out: how a line reads on the page. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1b\[[0-9;:]*[A-Za-z]/g, '').replace(/\s+/g, ' ').trim();
}

/** The page takes part now: `html[data-hydrated]` is set when its listeners are in place. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator('html[data-hydrated]'), 'the page is hydrated').toBeAttached();
}

/** Marks the document; the answer asserts later that it is still the same one, that is: nobody reloaded. */
export async function sameDocument(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));
  return async () => {
    expect(await page.evaluate(() => 'sameDocument' in window), 'the page was not reloaded').toBe(true);
  };
}

/** The start form, on the list's page. */
export class StartForm {
  constructor(readonly page: Page) {}

  get pipelines(): Locator {
    return this.page.getByTestId('pipeline');
  }

  get submit(): Locator {
    return this.page.getByTestId('start-run');
  }

  param(name: string): Locator {
    return this.page.getByTestId(`param-${name}`);
  }

  /** Chooses the pipeline, be it in a select or by a radio button. */
  async choose(name: string): Promise<void> {
    const first = this.pipelines.first();
    // On a phone the form is folded until it is wanted.
    const fold = this.page.locator('#start > summary');
    if (!(await first.isVisible())) await fold.click();
    await expect(first).toBeVisible();
    if ((await first.evaluate((element) => element.tagName)) === 'SELECT') await first.selectOption(name);
    else await this.page.locator(`[data-testid="pipeline"][value="${name}"]`).check();
  }

  /** The message at the parameter's field: that which `aria-errormessage` or `aria-describedby` names, if it is marked invalid. */
  message(name: string): Promise<string> {
    return this.param(name).evaluate((field) => {
      if (field.getAttribute('aria-invalid') !== 'true') return '';
      const ids = ['aria-errormessage', 'aria-describedby'].flatMap((attribute) =>
        (field.getAttribute(attribute) ?? '').split(/\s+/).filter(Boolean),
      );
      return ids
        .map((id) => document.getElementById(id))
        .filter((element) => element !== null && element.getClientRects().length > 0)
        .map((element) => element!.textContent?.trim() ?? '')
        .join(' ');
    });
  }

  /** Presses start; answers the id of the run whose page then shows. */
  async start(): Promise<string> {
    await this.submit.click();
    await this.page.waitForURL(/\/runs\/[0-9a-f-]{36}/);
    return /\/runs\/([0-9a-f-]{36})/.exec(this.page.url())![1]!;
  }
}

export class ListPage {
  readonly form: StartForm;

  constructor(
    readonly page: Page,
    readonly base: string,
  ) {
    this.form = new StartForm(page);
  }

  async open(): Promise<void> {
    await this.page.goto(`${this.base}/`);
    await hydrated(this.page);
  }

  get rows(): Locator {
    return this.page.getByTestId('run-row');
  }

  row(id: string): Locator {
    return this.page.locator(`[data-testid="run-row"][data-run-id="${id}"]`);
  }

  async shows(id: string, status: Status): Promise<void> {
    await expect(this.row(id)).toHaveAttribute('data-status', status);
  }

  /** Goes to the run's page by its link. */
  async follow(id: string): Promise<void> {
    await this.page.locator(`a[href="/runs/${id}"]`).first().click();
    await this.page.waitForURL(`**/runs/${id}`);
  }
}

export class RunPage {
  constructor(
    readonly page: Page,
    readonly base: string,
  ) {}

  async open(id: string): Promise<void> {
    await this.page.goto(`${this.base}/runs/${id}`);
    await hydrated(this.page);
  }

  get status(): Locator {
    return this.page.getByTestId('run-status');
  }

  get activity(): Locator {
    return this.page.getByTestId('activity');
  }

  get frames(): Locator {
    return this.page.getByTestId('frame');
  }

  get connection(): Locator {
    return this.page.getByTestId('connection');
  }

  get rerun(): Locator {
    return this.page.getByTestId('rerun');
  }

  get cancel(): Locator {
    return this.page.getByTestId('cancel');
  }

  /** Ends what still runs of a run that is being cancelled. */
  get killNow(): Locator {
    return this.page.getByTestId('kill-now');
  }

  /** What is said while a run is being cancelled. */
  get cancelling(): Locator {
    return this.page.getByTestId('cancelling');
  }

  frame(seq: number): Locator {
    return this.page.locator(`[data-testid="frame"][data-frame-id="${seq}"]`);
  }

  phase(name: string): Locator {
    return this.page.locator(`[data-testid="phase"][data-phase="${name}"]`);
  }

  /** Goes to the list by the page's own link. */
  async leaveForList(): Promise<void> {
    await this.page.locator('a[href="/"]').first().click();
    await this.page.waitForURL(`${this.base}/`);
  }

  async isAt(status: Status, attempt: number): Promise<void> {
    await expect(this.status).toHaveAttribute('data-status', status);
    await expect(this.status).toHaveAttribute('data-attempt', String(attempt));
  }

  async says(state: Connection): Promise<void> {
    await expect(this.connection).toHaveAttribute('data-state', state);
  }

  /** Holds every frame 1 to `head`, without a gap. */
  async holds(head: number): Promise<void> {
    await expect(this.activity).toHaveAttribute('data-last', String(head));
    await expect(this.activity).toHaveAttribute('data-frames', String(head));
    await expect(this.activity).toHaveAttribute('data-gaps', '0');
  }

  /** A number the Activity panel tells of itself. */
  async count(what: 'frames' | 'last' | 'dropped' | 'gaps'): Promise<number> {
    return Number(await this.activity.getAttribute(`data-${what}`));
  }

  /** Whether an action is offered: there, and not disabled. */
  async offers(action: Locator): Promise<boolean> {
    return (await action.count()) > 0 && (await action.first().isEnabled());
  }

  /** From the next document on, notes in each painted picture whether two elements show the same frame. */
  async watchForTwins(): Promise<void> {
    await this.page.addInitScript(() => {
      const twins: string[] = [];
      Object.assign(window, { twins });
      const look = () => {
        const seen = new Set<string>();
        for (const element of document.querySelectorAll<HTMLElement>('[data-testid="frame"]')) {
          const id = element.dataset['frameId'] ?? '';
          if (seen.has(id)) twins.push(id);
          seen.add(id);
        }
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
  }

  /** No picture since `watchForTwins` showed a frame twice. */
  async sawNoTwins(): Promise<void> {
    expect(await this.page.evaluate(() => (window as unknown as { twins?: string[] }).twins)).toEqual([]);
  }

  /** Scrolls the Activity panel to its first or last frame, as far as it goes. */
  async scroll(to: 'top' | 'bottom'): Promise<void> {
    await this.activity.evaluate((panel, to) => {
      const isScroller = (element: Element) =>
        /auto|scroll/.test(getComputedStyle(element).overflowY) && element.scrollHeight > element.clientHeight + 1;
      const inside = [panel, ...panel.querySelectorAll('*')].filter((e) => !e.closest('[data-testid="frame"]'));
      const scroller = inside.find(isScroller) ?? document.scrollingElement!;
      scroller.scrollTop = to === 'top' ? 0 : scroller.scrollHeight;
    }, to);
  }

  /** Scrolls through the whole Activity panel and collects the frames it shows, by their id. */
  async collect(): Promise<Map<number, Shown>> {
    // A tab in the background paints nothing, so it shows nothing.
    await this.page.bringToFront();
    const found = await this.activity.evaluate(async (panel) => {
      const isScroller = (element: Element) =>
        /auto|scroll/.test(getComputedStyle(element).overflowY) && element.scrollHeight > element.clientHeight + 1;
      const inside = [panel, ...panel.querySelectorAll('*')].filter((e) => !e.closest('[data-testid="frame"]'));
      const scroller = inside.find(isScroller) ?? document.scrollingElement!;
      const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const rows = () => [...panel.querySelectorAll<HTMLElement>('[data-testid="frame"]')];

      /** Whether frames lie at the upper and at the lower edge of what can be seen. */
      const covered = () => {
        const view =
          scroller === document.scrollingElement
            ? { top: 0, bottom: innerHeight }
            : { top: scroller.getBoundingClientRect().top, bottom: scroller.getBoundingClientRect().bottom };
        const own = panel.getBoundingClientRect();
        const top = Math.max(view.top, own.top);
        const bottom = Math.min(view.bottom, own.bottom);
        const third = (bottom - top) / 3;
        const boxes = rows().map((row) => row.getBoundingClientRect());
        return (
          boxes.some((box) => box.bottom > top && box.top < top + third) &&
          boxes.some((box) => box.bottom > bottom - third && box.top < bottom)
        );
      };

      const seen: Record<string, { kind: string; text: string }> = {};
      const faults: string[] = [];
      const look = () => {
        const now = new Set<string>();
        for (const row of rows()) {
          const id = row.dataset['frameId'] ?? '';
          const shown = { kind: row.dataset['kind'] ?? '', text: (row.textContent ?? '').replace(/\s+/g, ' ').trim() };
          if (now.has(id)) faults.push(`frame ${id} is there twice at once`);
          if (seen[id] && seen[id].text !== shown.text) {
            faults.push(`frame ${id} read “${seen[id].text}” and then “${shown.text}”`);
          }
          now.add(id);
          seen[id] = shown;
        }
      };

      scroller.scrollTop = 0;
      for (;;) {
        await painted();
        for (let pictures = 0; !covered() && pictures < 30; pictures += 1) await painted();
        look();
        const before = scroller.scrollTop;
        scroller.scrollTop = before + Math.max(40, scroller.clientHeight * 0.6);
        if (scroller.scrollTop <= before + 0.5) break;
      }
      return { seen, faults };
    });
    expect(found.faults, 'each frame is shown once, and reads the same whenever it is').toEqual([]);
    return new Map(
      Object.entries(found.seen)
        .map(([id, shown]): [number, Shown] => [Number(id), shown])
        .sort(([a], [b]) => a - b),
    );
  }

  /** Everything the journal has is shown once, in order, as it was printed. Answers what is shown. */
  async showsAll(journal: Frame[]): Promise<Map<number, Shown>> {
    await this.holds(journal.length);
    const shown = await this.collect();
    expectShown(shown, journal);
    return shown;
  }
}

/** The page shows just these frames, each with its kind and, if it is a line, that line. */
export function expectShown(shown: Map<number, Shown>, journal: Frame[]): void {
  expect([...shown.keys()], 'the frames shown are those of the journal').toEqual(journal.map((frame) => frame.seq));
  for (const frame of journal) {
    const here = shown.get(frame.seq)!;
    expect(here.kind, `the kind of frame ${frame.seq}`).toBe(frame.kind);
    const line = lineOf(frame);
    if (line !== undefined) expect(here.text, `the text of frame ${frame.seq}`).toContain(plain(line));
  }
}
