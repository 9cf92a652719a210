// The card of scheduled runs: due times, countdown, and the runs started.
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const SHOTS = join(import.meta.dirname, '../test-results/shots');

const schedule = (project: string, lines: string) =>
  `[[schedules]]\nparams = { project = ${JSON.stringify(project)} }\n${lines}`;

const rows = (page: Page) => page.getByTestId('schedule');

/** The card folds on a phone. */
async function unfold(page: Page): Promise<void> {
  const card = page.getByTestId('upcoming');
  if (!(await rows(page).first().isVisible())) await card.locator('summary').click();
}

test('due times are listed, count down and advance', async ({ server, project, list, page }) => {
  await server.pipeline({ name: 'plain', phases: { only: 'true' } });
  await list.open();
  await expect(page.getByTestId('upcoming')).toHaveCount(0);

  await server.pipeline({
    name: 'monthly',
    title: 'Monthly report',
    phases: { only: 'true' },
    more: schedule(project.path, 'name = "report"\ncron = "30 2 1 * *"\ntimezone = "Europe/Berlin"'),
  });
  await server.pipeline({
    name: 'often',
    title: 'Every ten seconds',
    phases: { only: 'echo due' },
    more: schedule(project.path, 'cron = "*/10 * * * * *"'),
  });
  await list.open();
  const unchanged = await sameDocument(page);
  await expect(rows(page)).toHaveCount(2);
  const often = rows(page).nth(0);
  await expect(often).toHaveAttribute('data-pipeline', 'often');
  await expect(often.getByTestId('countdown')).toHaveText(/^(in \d+ s|now)$/);
  const told = await often.getByTestId('countdown').textContent();
  await expect(often.getByTestId('countdown')).not.toHaveText(told!);
  const monthly = rows(page).nth(1);
  await expect(monthly).toContainText(/Monthly report/);
  await expect(monthly).toContainText(/ 1 \w+, 02:30 Berlin\s*· report/);
  await expect(monthly.locator('time')).toHaveAttribute('title', /in Europe\/Berlin \(30 2 1 \* \*\)/);

  // Once it is due, the next due time shows and the run is in the list, without a reload.
  const before = await often.locator('time').getAttribute('datetime');
  await expect(often.locator('time')).not.toHaveAttribute('datetime', before!, { timeout: 20_000 });
  await expect(list.rows.first()).toBeVisible();
  await unchanged();

  // The run page names the schedule.
  const id = await list.rows.first().getAttribute('data-run-id');
  await list.follow(id!);
  await expect(page.getByText(/by schedule \*\/10 \* \* \* \* \* \(UTC\), due 20/).first()).toBeVisible();
});

for (const screen of [
  { name: 'desktop', viewport: { width: 1280, height: 800 } },
  { name: 'phone', viewport: { width: 390, height: 844 } },
]) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`on a ${screen.name}, ${scheme}`, () => {
      test.use({ viewport: screen.viewport, colorScheme: scheme });

      test('card fits the screen beside pipeline errors', async ({ server, project, list, page }) => {
        const at = [
          ['nightly', 'Nightly checks of everything that there is', '30 2 * * 1-5', 'Europe/Berlin', 'the whole tree'],
          ['hourly', 'Hourly', '0 * * * *', 'UTC', ''],
          ['report', 'Monthly report', '0 9 1 * *', 'America/Argentina/Buenos_Aires', ''],
          ['leap', 'Leap day', '0 0 29 2 *', 'UTC', ''],
          ['tick', 'Every minute', '* * * * *', 'UTC', ''],
          ['week', 'Weekly', '0 7 * * 1', 'Asia/Tokyo', ''],
        ] as const;
        for (const [name, title, cron, timezone, label] of at) {
          const more = `cron = "${cron}"\ntimezone = "${timezone}"${label && `\nname = "${label}"`}`;
          await server.pipeline({ name, title, phases: { only: 'true' }, more: schedule(project.path, more) });
        }
        await server.pipeline({
          name: 'hooked',
          params: [],
          phases: { only: 'true' },
          more: '[hook]\nsecret_env = "RUNTRAIL_NOT_SET"',
        });
        await list.open();
        await unfold(page);
        await expect(rows(page)).toHaveCount(3);
        await expect(page.getByTestId('upcoming')).toContainText('and 3 more');
        await expect(page.getByText('hooked.toml:', { exact: false })).toBeVisible();
        const width = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          document.documentElement.clientWidth,
        ]);
        expect(width[0], 'the page does not scroll sideways').toBeLessThanOrEqual(width[1]!);
        await page.screenshot({ path: join(SHOTS, `schedules-${screen.name}-${scheme}.png`), fullPage: true });
      });
    });
  }
}
