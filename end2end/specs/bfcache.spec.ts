// A page restored from the back/forward cache.
import config from '../playwright.config.ts';
import { RunPage } from '../support/pages.ts';
import { openTab, streamsAt } from '../support/tabs.ts';
import { expect, test } from '../support/test.ts';

// Playwright disables the cache by default.
test.use({
  launchOptions: { ...config.use?.launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] },
  // The browser does not cache a page that has polled, since responses are no-store.
  serverOptions: { pollInterval: '60s' },
});

test('page restored from the back/forward cache continues', async ({ server, project, api, context, page }) => {
  const id = await server.talk('before', 'away', 'end');
  const run = new RunPage(page, server.base);
  await run.open(id);
  await run.says('live');
  await page.evaluate(() => {
    addEventListener('pageshow', (event) => Object.assign(window, { kept: event.persisted }));
  });
  project.release('before');
  await api.printed(id, 'before 10');
  await run.holds((await api.run(id)).head);

  await page.goto(`${server.base}/favicon.svg`);
  await expect.poll(() => streamsAt(server.base), { message: 'a page that is left holds no stream' }).toBe(0);
  const other = await openTab(context, server.base, id);
  await other.says('live');
  project.release('away');
  await api.printed(id, 'away 10');

  // Not `page.goBack()`, which waits for a load that does not happen.
  await page.evaluate(() => history.back());
  await page.waitForURL(`**/runs/${id}`, { waitUntil: 'commit' });
  // The browser's reason, if it did not restore the page.
  const kept = () =>
    page.evaluate(() => {
      const [entry] = performance.getEntriesByType('navigation') as unknown as { notRestoredReasons?: unknown }[];
      return (window as { kept?: boolean }).kept ?? JSON.stringify(entry?.notRestoredReasons ?? null);
    });
  await expect.poll(kept, { message: 'the browser kept the page' }).toBe(true);
  await run.says('live');
  await run.holds((await api.run(id)).head);
  await expect(run.connection).toHaveAttribute('data-role', 'follower');
  await expect.poll(() => streamsAt(server.base)).toBe(1);
  project.release('end');
  await api.reaches(id, 'completed');
  const journal = await api.frames(id);
  for (const tab of [run, other]) await tab.showsAll(journal);
});
