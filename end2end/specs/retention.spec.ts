// Pinning and deleting runs, and what other tabs see of both.
import { join } from 'node:path';
import { waitFor } from '../support/project.ts';
import { ListPage, RunPage, sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const SHOTS = join(import.meta.dirname, '../test-results/shots');

test.use({ serverOptions: { pollInterval: '500ms' } });

test('pinned run shows its pin everywhere and cannot be deleted', async ({
  server,
  api,
  list,
  page,
  context,
}) => {
  await server.pipeline({ name: 'quick', phases: { only: 'echo done' } });
  const id = await server.run('quick');
  await api.reaches(id, 'completed');
  await list.open();
  await expect(list.row(id)).toHaveAttribute('data-pinned', 'false');
  await expect(page.getByTestId('database-size')).toHaveText(/^Database \d[\d.]* [kMG]?B( · \d[\d.]* [kMG]?B reclaimable)?$/);
  const check = await sameDocument(page);

  const one = new RunPage(await context.newPage(), server.base);
  await one.open(id);
  const two = new RunPage(await context.newPage(), server.base);
  await two.open(id);
  const pin = (tab: RunPage) => tab.page.getByTestId('pin');
  await expect(pin(one)).toHaveAttribute('aria-pressed', 'false');
  await one.page.getByRole('button', { name: 'Pin', exact: true }).click();
  for (const tab of [one, two]) await expect(pin(tab)).toHaveAttribute('aria-pressed', 'true');
  await expect(list.row(id)).toHaveAttribute('data-pinned', 'true');
  await expect(list.row(id).getByText('Pinned')).toBeAttached();
  expect((await api.run(id)).pinned).toBe(true);

  // The popover explains it, without the delete button.
  await one.page.getByTestId('delete').click();
  await expect(one.page.getByText('Unpin it to delete it')).toBeVisible();
  await expect(one.page.getByTestId('delete-confirm')).toBeHidden();
  await one.page.keyboard.press('Escape');
  await expect(one.page.getByText('Unpin it to delete it')).toBeHidden();

  await pin(two).click();
  for (const tab of [one, two]) await expect(pin(tab)).toHaveAttribute('aria-pressed', 'false');
  await expect(list.row(id)).toHaveAttribute('data-pinned', 'false');
  await check();
});

test('deleted run disappears from the list, and its other tabs say so', async ({
  server,
  project,
  api,
  list,
  page,
  context,
  complaints,
}) => {
  await server.pipeline({ name: 'quick', phases: { only: 'echo done' } });
  await server.pipeline({ name: 'held', phases: { only: waitFor('end') } });
  const stays = await server.run('quick');
  const goes = await server.run('quick');
  const active = await server.run('held');
  for (const id of [stays, goes]) await api.reaches(id, 'completed');
  await api.reaches(active, 'running');
  await list.open();
  await expect(list.rows).toHaveCount(3);
  const check = await sameDocument(page);
  const other = new RunPage(await context.newPage(), server.base);
  await other.open(goes);
  await other.says('ended');

  const tab = new RunPage(await context.newPage(), server.base);
  await tab.open(active);
  await expect(tab.page.getByTestId('delete')).toBeHidden();
  await tab.open(goes);
  await tab.page.getByTestId('delete').click();
  await expect(tab.page.getByText("This can't be undone")).toBeVisible();
  await tab.page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await expect(tab.page.getByTestId('delete-confirm')).toBeHidden();
  await tab.page.getByTestId('delete').click();
  await tab.page.getByTestId('delete-confirm').click();
  await tab.page.waitForURL(`${server.base}/`);
  const again = new ListPage(tab.page, server.base);
  await expect(again.rows).toHaveCount(2);
  await expect(again.row(goes)).toHaveCount(0);

  await expect(list.row(goes)).toHaveCount(0);
  await list.shows(stays, 'completed');
  await list.shows(active, 'running');
  await check();

  // The poll that gets a 404 is the last one.
  complaints.expect(/404/);
  await expect(other.page.getByTestId('deleted')).toBeVisible();
  await expect(other.page.getByTestId('delete')).toBeHidden();
  await expect(other.rerun).toBeHidden();
  await expect(other.frames.filter({ hasText: 'done' })).toBeVisible();
  const asked: string[] = [];
  other.page.on('request', (request) => asked.push(request.url()));
  // Makes any other page poll at once.
  await other.page.evaluate(() => window.dispatchEvent(new Event('online')));
  const signal = `${server.base}/healthz`;
  expect(await other.page.evaluate((url) => fetch(url).then((answer) => answer.status), signal)).toBe(200);
  expect(asked, 'nothing more is asked of a run that is gone').toEqual([signal]);
  await other.page.getByTestId('deleted').getByRole('link', { name: 'All runs' }).click();
  await expect(new ListPage(other.page, server.base).rows).toHaveCount(2);
  project.release('end');
});

test('page of a deleted run makes no more requests', async ({ server, api, page, context, complaints }) => {
  complaints.expect(/404/);
  await server.pipeline({ name: 'quick', phases: { only: 'echo done' } });
  const [goes, stays] = [await server.run('quick'), await server.run('quick')];
  for (const id of [goes, stays]) await api.reaches(id, 'completed');
  const run = new RunPage(page, server.base);
  await run.open(goes);
  await run.says('ended');
  const gone = await fetch(`${server.base}/api/v1/runs/${goes}`, { method: 'DELETE' });
  expect(gone.ok).toBe(true);
  await expect(page.getByTestId('deleted')).toBeVisible();
  const asked: string[] = [];
  // Every page checks the health of the database.
  page.on('request', (request) => {
    if (!request.url().endsWith('/fn/database_health')) asked.push(request.url());
  });
  // Long enough for several polls.
  const other = new RunPage(await context.newPage(), server.base);
  let polls = 0;
  other.page.on('request', (request) => (polls += Number(request.url().includes('/frames'))));
  await other.open(stays);
  await expect.poll(() => polls).toBeGreaterThan(5);
  expect(asked).toEqual([]);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('run is pinned and deleted by plain forms', async ({ server, api, page, complaints }) => {
    await server.pipeline({ name: 'quick', phases: { only: 'echo done' } });
    const id = await server.run('quick');
    await api.reaches(id, 'completed');
    await page.goto(`${server.base}/runs/${id}`);
    await page.getByTestId('pin').click();
    await expect(page.getByTestId('pin')).toHaveAttribute('aria-pressed', 'true');
    await page.getByTestId('pin').click();
    await expect(page.getByTestId('pin')).toHaveAttribute('aria-pressed', 'false');
    await page.getByTestId('delete').click();
    await page.getByTestId('delete-confirm').click();
    await page.waitForURL(`${server.base}/`);
    await expect(page.getByText('No runs yet')).toBeVisible();
    // The browser logs the 404.
    complaints.expect(/404/);
    expect((await page.goto(`${server.base}/runs/${id}`))!.status()).toBe(404);
  });
});

for (const [screen, viewport] of [
  ['desktop', { width: 1280, height: 800 }],
  ['phone', { width: 390, height: 844 }],
] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(`${screen}, ${colorScheme}`, () => {
      test.use({ viewport, colorScheme, timezoneId: 'UTC' });

      test('pin, confirmation and database size fit the screen', async ({ server, api, list, run, page, complaints }) => {
        await server.pipeline({ name: 'quick', title: 'Nightly checks', phases: { only: 'echo done; exit 3' } });
        const [first, second] = [await server.run('quick'), await server.run('quick')];
        for (const id of [first, second]) await api.reaches(id, 'failed');
        const seen = async (name: string) => {
          const width = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
          expect(width[0], 'the page does not scroll sideways').toBeLessThanOrEqual(width[1]!);
          await page.screenshot({ path: join(SHOTS, `${name}-${screen}-${colorScheme}.png`), animations: 'disabled' });
        };
        await run.open(first);
        await page.getByTestId('pin').click();
        await expect(page.getByTestId('pin')).toHaveAttribute('aria-pressed', 'true');
        await seen('run-pinned');
        await run.open(second);
        await page.getByTestId('delete').click();
        await expect(page.getByTestId('delete-confirm')).toBeInViewport({ ratio: 1 });
        await seen('run-delete');
        await list.open();
        await expect(page.getByTestId('database-size')).toBeVisible();
        await seen('list-pinned');
        await run.open(second);
        complaints.expect(/404/);
        await fetch(`${server.base}/api/v1/runs/${second}`, { method: 'DELETE' });
        await expect(page.getByTestId('deleted')).toBeVisible();
        await seen('run-gone');
      });
    });
  }
}
