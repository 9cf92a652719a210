// Page objects, based on the test ids of docs/CONTRACT.md.
import { expect, type Locator, type Page } from '@playwright/test';
import { type Api, lineOf, type Frame, type Status } from './api.ts';

/** The states of the connection chip. */
export type Connection = 'connecting' | 'live' | 'retrying' | 'polling' | 'ended' | 'offline';

/** A row of the log. */
export interface Shown {
  kind: string;
  /** With collapsed white space. */
  text: string;
}

/** A line as the page shows it: white space collapsed, ANSI codes removed. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1b\[[0-9;:]*[A-Za-z]/g, '').replace(/\s+/g, ' ').trim();
}

/** Waits for hydration: `html[data-hydrated]` is set when all listeners are in place. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator('html[data-hydrated]'), 'the page is hydrated').toBeAttached();
}

/** Marks the document. The function returned asserts that it was not reloaded. */
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

  /** Selects the pipeline. */
  async choose(name: string): Promise<void> {
    const first = this.pipelines.first();
    // On a phone the form is collapsed.
    const fold = this.page.locator('#start > summary');
    if (!(await first.isVisible())) await fold.click();
    await expect(first).toBeVisible();
    if ((await first.evaluate((element) => element.tagName)) === 'SELECT') await first.selectOption(name);
    else await this.page.locator(`[data-testid="pipeline"][value="${name}"]`).check();
  }

  /** The visible error and help of a field that is marked invalid. */
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

  /** Starts the run. Returns its id. */
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

  /** Follows the link to the run page. */
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

  /** Opens the page of an active run, and watches for frames that are shown twice. */
  async openLive(id: string): Promise<void> {
    await this.watchForTwins();
    await this.open(id);
    await this.says('live');
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

  /** Kills the processes of a run that is being cancelled. */
  get killNow(): Locator {
    return this.page.getByTestId('kill-now');
  }

  /** The note on a run that is being cancelled. */
  get cancelling(): Locator {
    return this.page.getByTestId('cancelling');
  }

  frame(seq: number): Locator {
    return this.page.locator(`[data-testid="frame"][data-frame-id="${seq}"]`);
  }

  phase(name: string): Locator {
    return this.page.locator(`[data-testid="phase"][data-phase="${name}"]`);
  }

  /** Follows the link to the list. */
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

  /** Expects frames 1 to `head`, without a gap. */
  async holds(head: number): Promise<void> {
    await expect(this.activity).toHaveAttribute('data-last', String(head));
    await expect(this.activity).toHaveAttribute('data-frames', String(head));
    await expect(this.activity).toHaveAttribute('data-gaps', '0');
  }

  /** A `data-` attribute of the log panel. */
  async count(what: 'frames' | 'last' | 'dropped' | 'gaps'): Promise<number> {
    return Number(await this.activity.getAttribute(`data-${what}`));
  }

  /** Whether an action exists and is enabled. */
  async offers(action: Locator): Promise<boolean> {
    return (await action.count()) > 0 && (await action.first().isEnabled());
  }

  /** Checks at each paint, from the next document on, whether a frame is in the document twice. */
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

  /** Expects that no frame was shown twice since `watchForTwins`. */
  async sawNoTwins(): Promise<void> {
    expect(await this.page.evaluate(() => (window as unknown as { twins?: string[] }).twins)).toEqual([]);
  }

  /** Scrolls the log to its start or end. */
  async scroll(to: 'top' | 'bottom'): Promise<void> {
    await this.activity.evaluate((panel, to) => {
      const isScroller = (element: Element) =>
        /auto|scroll/.test(getComputedStyle(element).overflowY) && element.scrollHeight > element.clientHeight + 1;
      const inside = [panel, ...panel.querySelectorAll('*')].filter((e) => !e.closest('[data-testid="frame"]'));
      const scroller = inside.find(isScroller) ?? document.scrollingElement!;
      scroller.scrollTop = to === 'top' ? 0 : scroller.scrollHeight;
    }, to);
  }

  /** Scrolls through the whole log and collects its rows by seq. */
  async collect(): Promise<Map<number, Shown>> {
    // A background tab does not paint.
    await this.page.bringToFront();
    const found = await this.activity.evaluate(async (panel) => {
      const isScroller = (element: Element) =>
        /auto|scroll/.test(getComputedStyle(element).overflowY) && element.scrollHeight > element.clientHeight + 1;
      const inside = [panel, ...panel.querySelectorAll('*')].filter((e) => !e.closest('[data-testid="frame"]'));
      const scroller = inside.find(isScroller) ?? document.scrollingElement!;
      const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const rows = () => [...panel.querySelectorAll<HTMLElement>('[data-testid="frame"]')];

      /** Whether rows cover the top and the bottom of the view. */
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

  /** Expects the whole journal to be shown once and in order. Returns the rows. */
  async showsAll(journal: Frame[]): Promise<Map<number, Shown>> {
    await this.holds(journal.length);
    const shown = await this.collect();
    expectShown(shown, journal);
    return shown;
  }

  /** Waits until the run completes, and expects each frame to be shown once. See {@link openLive}. */
  async showsAllOnce(api: Api, id: string): Promise<void> {
    await api.reaches(id, 'completed');
    await this.isAt('completed', 1);
    await this.says('ended');
    await this.showsAll(await api.frames(id));
    await this.sawNoTwins();
  }
}

/** Expects exactly these frames, each with its kind and its line. */
export function expectShown(shown: Map<number, Shown>, journal: Frame[]): void {
  expect([...shown.keys()], 'the frames shown are those of the journal').toEqual(journal.map((frame) => frame.seq));
  for (const frame of journal) {
    const here = shown.get(frame.seq)!;
    expect(here.kind, `the kind of frame ${frame.seq}`).toBe(frame.kind);
    const line = lineOf(frame);
    if (line !== undefined) expect(here.text, `the text of frame ${frame.seq}`).toContain(plain(line));
  }
}
