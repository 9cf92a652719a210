// Schedules that are paused, resumed and run now, and the list of deliveries.
import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const SECRET = 'a secret that only the forge knows';

const schedule = (project: string, lines: string) =>
  `[[schedules]]\nparams = { project = ${JSON.stringify(project)} }\n${lines}`;

const row = (page: Page, pipeline: string) =>
  page.locator(`[data-testid="schedule-row"][data-pipeline="${pipeline}"]`);

test('schedule is paused with a reason that every page shows, and resumed', async ({ server, project, list, page }) => {
  await server.pipeline({
    name: 'yearly',
    title: 'Yearly report',
    phases: { only: 'true' },
    more: schedule(project.path, 'name = "report"\ncron = "30 2 1 1 *"'),
  });
  await list.open();
  await expect(page.getByTestId('paused-banner')).toHaveCount(0);
  await page.getByRole('link', { name: 'Schedules', exact: true }).click();
  await expect(row(page, 'yearly')).toHaveAttribute('data-paused', 'false');
  const unchanged = await sameDocument(page);

  await row(page, 'yearly').getByTestId('pause-schedule').click();
  await row(page, 'yearly').getByTestId('pause-reason').fill('moving the database');
  await row(page, 'yearly').getByTestId('pause-confirm').click();
  await expect(row(page, 'yearly')).toHaveAttribute('data-paused', 'true');
  await expect(row(page, 'yearly').getByTestId('schedule-paused')).toContainText('moving the database');
  const banner = page.getByTestId('paused-banner');
  await expect(banner).toContainText('1 schedule is paused');
  await expect(banner).toContainText('moving the database');
  await unchanged();

  await list.open();
  await expect(page.getByTestId('paused-banner')).toContainText('moving the database');
  await page.getByTestId('paused-banner').getByRole('link', { name: 'Schedules' }).click();
  await row(page, 'yearly').getByTestId('resume-schedule').click();
  await expect(row(page, 'yearly')).toHaveAttribute('data-paused', 'false');
  await expect(page.getByTestId('paused-banner')).toHaveCount(0);
});

test('all schedules are paused at once, and one can be run now', async ({ server, project, list, page }) => {
  for (const name of ['one', 'two']) {
    await server.pipeline({
      name,
      phases: { only: 'echo by hand' },
      more: schedule(project.path, 'cron = "30 2 1 1 *"'),
    });
  }
  await list.open();
  await page.goto(`${server.base}/schedules`);
  await page.getByTestId('pause-all').click();
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Pause all schedules' }) });
  await form.getByTestId('pause-confirm').click();
  await expect(page.getByTestId('paused-banner')).toContainText('All schedules are paused');
  await expect(row(page, 'two')).toHaveAttribute('data-paused', 'true');

  await row(page, 'one').getByTestId('run-schedule').click();
  await expect(page).toHaveURL(/\/runs\//);
  await expect(page.getByText(/run now by the operator/).first()).toBeVisible();

  await page.goto(`${server.base}/schedules`);
  await expect(row(page, 'one').getByRole('link', { name: /Last run/ })).toBeVisible();
  await page.getByTestId('resume-all').click();
  await expect(page.getByTestId('paused-banner')).toHaveCount(0);
});

test('deliveries are listed, and the home page reports refused ones', async ({
  server,
  project,
  list,
  page,
}) => {
  const secret = join(project.path, 'secret');
  await writeFile(secret, SECRET);
  await server.pipeline({
    name: 'hooked',
    params: [],
    phases: { only: 'true' },
    more: `[hook]\nsecret_file = ${JSON.stringify(secret)}\nevents = ["push"]`,
  });
  const send = async (event: string, body: string) => {
    const signature = createHmac('sha256', SECRET).update(body).digest('hex');
    const headers = { 'X-GitHub-Event': event, 'X-Hub-Signature-256': `sha256=${signature}` };
    return (await fetch(`${server.base}/api/v1/hooks/hooked`, { method: 'POST', headers, body })).status;
  };
  expect(await send('push', '{}')).toBe(201);
  expect(await send('issues', '{}')).toBe(202);
  expect(await send('push', '{')).toBe(400);
  await list.open();
  const notice = page.getByTestId('refused-deliveries');
  await expect(notice).toContainText('A delivery was refused');
  await notice.getByRole('link', { name: 'View all' }).click();
  const rows = page.getByTestId('delivery');
  await expect(rows).toHaveCount(1);
  await expect(rows.first()).toHaveAttribute('data-result', 'refused');
  await page.getByLabel('Result').selectOption('');
  await page.getByTestId('deliveries-show').click();
  await expect(rows).toHaveCount(3);
  await expect(rows.nth(1)).toContainText('event issues');
  await rows.nth(2).getByRole('link', { name: /^Run/ }).click();
  await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'completed');
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 } });

  test('schedules and deliveries fit the screen', async ({ server, project, list, page }) => {
    await server.pipeline({
      name: 'nightly',
      title: 'Nightly checks of everything that there is in the world',
      phases: { only: 'true' },
      more: schedule(project.path, 'name = "a name that is rather long"\ncron = "30 2 1 1 *"\ntimezone = "America/Argentina/Buenos_Aires"'),
    });
    await list.open();
    for (const path of ['/schedules', '/deliveries']) {
      await page.goto(`${server.base}${path}`);
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      const [scroll, client] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        document.documentElement.clientWidth,
      ]);
      expect(scroll, path).toBeLessThanOrEqual(client!);
    }
  });
});
