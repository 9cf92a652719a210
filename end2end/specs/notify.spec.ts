// Desktop notifications, one for all tabs, and the count in the title of each tab.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { waitFor } from '../support/project.ts';
import { ListPage, hydrated } from '../support/pages.ts';
import { openTab } from '../support/tabs.ts';
import { expect, test } from '../support/test.ts';

const SHOTS = join(import.meta.dirname, '../test-results/shots');

interface Shown {
  title: string;
  body: string;
  tag: string;
}

/** Records the notifications that the pages of this context show, and prepares {@link sight}. */
async function record(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const shown: { title: string; body: string; tag: string; note: Notification }[] = [];
    const Real = window.Notification;
    let visible = true;
    Object.defineProperty(document, 'visibilityState', { get: () => (visible ? 'visible' : 'hidden') });
    Object.defineProperty(document, 'hidden', { get: () => !visible });
    const sight = (now: boolean) => {
      visible = now;
      document.dispatchEvent(new Event('visibilitychange'));
    };
    Object.assign(window, { shown, sight });
    window.Notification = class extends Real {
      constructor(title: string, options: NotificationOptions = {}) {
        super(title, options);
        shown.push({ title, body: options.body ?? '', tag: options.tag ?? '', note: this });
      }
    };
  });
}

/** The notifications that these pages have shown. */
async function shownBy(pages: Page[]): Promise<Shown[]> {
  const each = pages.map((page) =>
    page.evaluate(() =>
      (window as unknown as { shown: Shown[] }).shown.map(({ title, body, tag }) => ({ title, body, tag })),
    ),
  );
  return (await Promise.all(each)).flat();
}

/** Hides or shows pages. A headless browser reports all pages as visible, so this overrides it. */
async function sight(pages: Page[], visible: boolean): Promise<void> {
  for (const page of pages) {
    await page.evaluate((visible) => (window as unknown as { sight: (visible: boolean) => void }).sight(visible), visible);
  }
}

/** A receiver of notifications that responds with this status. */
async function receiver(status: number): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, answer) => {
    request.resume();
    answer.writeHead(status).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook`, close: () => server.close() };
}

const bell = (page: Page) => page.getByTestId('notify-toggle');

test('notification is shown once for two tabs, and each counts in its title', async ({
  server,
  project,
  api,
  context,
  page,
}) => {
  await record(context);
  await context.grantPermissions(['notifications'], { origin: server.base });
  await server.pipeline({ name: 'nightly', title: 'Nightly', phases: { only: `${waitFor('end')}\nexit 3` } });
  await server.pipeline({ name: 'other', phases: { only: waitFor('other') } });
  const list = new ListPage(page, server.base);
  await list.open();
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'false');
  await bell(page).click();
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'true');
  const id = await server.run('nightly');
  const other = await server.run('other');
  const tab = await openTab(context, server.base, id);
  await tab.says('live');
  await expect(bell(tab.page), 'it is on in all tabs').toHaveAttribute('aria-pressed', 'true');
  await list.shows(id, 'running');
  await list.shows(other, 'running');

  const pages = [page, tab.page];
  await sight(pages, false);
  project.release('end');
  await api.reaches(id, 'failed');
  await expect(tab.page).toHaveTitle(/^\(1\) Failed · Nightly/);
  await expect(page).toHaveTitle(/^\(1\) Runs/);
  await expect.poll(() => shownBy(pages)).toEqual([
    { title: 'nightly failed', body: 'phase only failed with exit code 3', tag: `${id}:1` },
  ]);
  project.release('other');
  await api.reaches(other, 'completed');
  await expect(page).toHaveTitle(/^\(2\) Runs/);
  await expect.poll(async () => (await shownBy(pages)).map(({ title }) => title)).toEqual(['nightly failed', 'other completed']);
  await expect(tab.page, 'this tab follows its own run only').toHaveTitle(/^\(1\) Failed/);

  // The count is cleared when its tab becomes visible.
  await sight([page], true);
  await expect(page).toHaveTitle(/^Runs/);
  await expect(tab.page).toHaveTitle(/^\(1\) /);
  // A tab is visible: no notification is shown.
  const third = await server.run('nightly');
  await list.shows(third, 'failed');
  expect(await shownBy(pages)).toHaveLength(2);
  await expect(page).toHaveTitle(/^Runs/);
});

test('notification of a run that needs approval leads to its page', async ({ server, project, context, page }) => {
  await record(context);
  await context.grantPermissions(['notifications'], { origin: server.base });
  project.commit({ 'old.rs': 'fn main() { old(1); }\n' });
  const list = new ListPage(page, server.base);
  await list.open();
  await bell(page).click();
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'true');
  await sight([page], false);
  const params = { language: 'rust', pattern: 'old($A)', rewrite: 'new($A)', approval: true };
  const id = await server.run('refactor', params);
  const expected = [
    { title: 'refactor needs approval', body: 'Commit these patches to a new branch?', tag: `${id}:1` },
  ];
  await expect.poll(() => shownBy([page])).toEqual(expected);
  await expect(page).toHaveTitle(/^\(1\) Runs/);

  const opened = context.waitForEvent('page');
  await page.evaluate(() => {
    const [first] = (window as unknown as { shown: { note: Notification }[] }).shown;
    first!.note.dispatchEvent(new Event('click'));
  });
  const run = await opened;
  await run.waitForURL(`**/runs/${id}`);
  await expect(run.getByTestId('approval')).toContainText('Commit these patches to a new branch?');
});

test('permission is requested on click only, and a denial is explained', async ({ server, context, page }) => {
  await context.addInitScript(() => {
    const asked: string[] = [];
    const real = Notification.requestPermission.bind(Notification);
    Object.assign(window, { asked });
    Notification.requestPermission = (...given) => {
      asked.push('asked');
      return real(...given);
    };
  });
  const list = new ListPage(page, server.base);
  await list.open();
  const asked = () => page.evaluate(() => (window as unknown as { asked: string[] }).asked.length);
  expect(await asked()).toBe(0);
  // A headless browser denies permission by itself.
  await bell(page).click();
  await expect(page.getByRole('status').filter({ hasText: 'Your browser blocks notifications' })).toBeVisible();
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'false');
  expect(await asked()).toBeLessThanOrEqual(1);
  await context.grantPermissions(['notifications'], { origin: server.base });
  await bell(page).click();
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'true');
  await bell(page).click();
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'false');
  await page.reload();
  await hydrated(page);
  await expect(bell(page)).toHaveAttribute('aria-pressed', 'false');
});

/** The address without what may be a secret. */
const shown = (url: string) => `${new URL(url).origin}/…`;

test('delivery results show on the page of a finished run', async ({ server, project, api, run }) => {
  const [well, gone] = [await receiver(200), await receiver(410)];
  const notify = [`${well.url}?key=secret`, gone.url];
  await server.pipeline({ name: 'told', notify, phases: { only: waitFor('end') } });
  const id = await server.run('told');
  await run.open(id);
  await run.says('live');
  project.release('end');
  await api.reaches(id, 'completed');
  const rows = run.page.locator('[data-testid="frame"][data-kind="notification"]');
  await expect(rows).toHaveCount(2);
  await expect(rows.filter({ hasText: `notification sent ${shown(well.url)}` })).toHaveCount(1);
  await expect(rows.filter({ hasText: `notification failed ${shown(gone.url)} it answered 410 Gone` })).toHaveCount(1);
  await run.isAt('completed', 1);
  await run.says('ended');
  await run.holds((await api.run(id)).head);
  await expect(run.page.locator('body')).not.toContainText('key=secret');
  await run.page.screenshot({ path: join(SHOTS, 'notify-frames.png') });
  well.close();
  gone.close();
});

for (const screen of [
  { name: 'desktop', viewport: { width: 1280, height: 800 } },
  { name: 'phone', viewport: { width: 390, height: 844 } },
]) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`the bell, ${screen.name}, ${scheme}`, () => {
      test.use({ viewport: screen.viewport, colorScheme: scheme });

      test('explains its state', async ({ server, context, page }) => {
        const list = new ListPage(page, server.base);
        const shot = (state: string) =>
          page.screenshot({ path: join(SHOTS, `bell-${screen.name}-${scheme}-${state}.png`), clip: { x: 0, y: 0, width: screen.viewport.width, height: 220 } });
        await list.open();
        await shot('off');
        await bell(page).click();
        const words = page.getByRole('status').filter({ hasText: 'Your browser blocks notifications' });
        await expect(words).toBeInViewport({ ratio: 1 });
        await shot('denied');
        await context.grantPermissions(['notifications'], { origin: server.base });
        await bell(page).click();
        await expect(bell(page)).toHaveAttribute('aria-pressed', 'true');
        await expect(words).toBeHidden();
        await shot('on');
      });
    });
  }
}
