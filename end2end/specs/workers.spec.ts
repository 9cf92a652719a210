// The page of workers, what a run waits for, and the banner of a server that is draining.
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { hydrated, sameDocument } from '../support/pages.ts';
import { waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

const SHOTS = join(import.meta.dirname, '../test-results/shots');

const workers = (page: Page) => page.getByTestId('worker');

async function open(page: Page, base: string): Promise<void> {
  await page.goto(`${base}/workers`);
  await hydrated(page);
}

test.describe('a server with labels', () => {
  test.use({ serverOptions: { workers: 2, flags: ['--name', 'build-7', '--label', 'linux,x86_64'] } });

  test('page shows slots and runs, live', async ({ server, project, api, page }) => {
    await server.pipeline({ name: 'long', phases: { wait: waitFor('go') } });
    await open(page, server.base);
    const unchanged = await sameDocument(page);
    const worker = workers(page);
    await expect(worker).toHaveCount(1);
    await expect(worker).toHaveAttribute('data-worker', 'build-7');
    await expect(worker).toHaveAttribute('data-state', 'live');
    await expect(worker.getByTestId('worker-label')).toHaveText(['linux', 'x86_64']);
    await expect(worker.getByTestId('worker-slots')).toHaveText('0 busy, 2 free');
    await expect(page.getByRole('link', { name: 'Workers', exact: true })).toHaveAttribute('aria-current', 'page');

    const id = await server.run('long');
    await expect(worker.getByTestId('worker-slots')).toHaveText('1 busy, 1 free');
    await expect(worker.getByTestId('worker-run')).toHaveAttribute('href', `/runs/${id}`);
    project.release('go');
    await api.reaches(id, 'completed');
    await expect(worker.getByTestId('worker-slots')).toHaveText('0 busy, 2 free');
    await expect(worker.getByTestId('worker-run')).toHaveCount(0);
    await unchanged();
  });

  test('run says which label is missing', async ({ server, list, run, page }) => {
    await server.pipeline({ name: 'train', head: 'runs_on = ["gpu"]', phases: { only: 'true' } });
    const id = await server.run('train');
    await list.open();
    const waiting = list.row(id).getByTestId('waiting-for');
    await expect(waiting).toHaveText(/^No worker with label gpu since \d\d:\d\d$/);
    await run.open(id);
    await expect(page.getByTestId('waiting-for')).toHaveText(/^No worker with label gpu since \d\d:\d\d$/);
    await open(page, server.base);
    await expect(page.getByTestId('shortage')).toContainText('No worker with label gpu: 1 run waits for one.');
    await run.open(id);
    await run.cancel.click();
    await run.isAt('cancelled', 1);
    await expect(page.getByTestId('waiting-for')).toHaveCount(0);
  });

  test('draining shows on every page until the server ends', async ({ server, project, api, page, complaints }) => {
    complaints.expectNetworkErrors();
    await server.pipeline({ name: 'long', phases: { wait: waitFor('go') } });
    const id = await server.run('long');
    await api.reaches(id, 'running');
    await open(page, server.base);
    const banner = page.getByTestId('drain-banner');
    await expect(banner).toHaveCount(0);
    await server.drain();
    await expect(banner).toContainText('This server is draining. It takes no new runs and ends when 1 run has finished.');
    await expect(workers(page)).toHaveAttribute('data-state', 'draining');
    await expect(workers(page)).toHaveAttribute('data-free', '0');
    project.release('go');
    await server.ended();
    await server.restart();
    expect((await api.run(id)).status).toBe('completed');
    await open(page, server.base);
    await expect(banner).toHaveCount(0);
  });
});

for (const screen of [
  { name: 'desktop', viewport: { width: 1280, height: 800 } },
  { name: 'phone', viewport: { width: 390, height: 844 } },
]) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`on a ${screen.name}, ${scheme}`, () => {
      test.use({
        viewport: screen.viewport,
        colorScheme: scheme,
        serverOptions: { workers: 3, flags: ['--name', 'a-rather-long-name.of-a-machine.example', '--label', 'linux,x86_64,large-memory'] },
      });

      test('page fits the screen', async ({ server, project, api, page, list }) => {
        await server.pipeline({ name: 'long', title: 'Long', phases: { wait: waitFor('go') } });
        await server.pipeline({ name: 'train', head: 'runs_on = ["gpu", "a100"]', phases: { only: 'true' } });
        const id = await server.run('long');
        await api.reaches(id, 'running');
        const stuck = await server.run('train');
        await open(page, server.base);
        await expect(page.getByTestId('worker-run')).toHaveCount(1);
        await expect(page.getByTestId('shortage')).toHaveCount(1);
        const fits = async () => {
          const width = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
          expect(width[0], 'the page does not scroll sideways').toBeLessThanOrEqual(width[1]!);
        };
        await fits();
        await page.screenshot({ path: join(SHOTS, `workers-${screen.name}-${scheme}.png`), fullPage: true });
        await list.open();
        await expect(list.row(stuck).getByTestId('waiting-for')).toBeVisible();
        await fits();
        await page.screenshot({ path: join(SHOTS, `waiting-${screen.name}-${scheme}.png`), fullPage: true });
        project.release('go');
        await api.reaches(id, 'completed');
      });
    });
  }
}

test.describe('a server without workers', () => {
  test.use({ serverOptions: { workers: 0 } });

  test('page says that there are none', async ({ server, list, page }) => {
    await server.pipeline({ name: 'plain', phases: { only: 'true' } });
    await open(page, server.base);
    await expect(page.getByTestId('no-workers')).toContainText('No workers: this server serves pages only.');
    await expect(workers(page)).toContainText('Pages only');
    const id = await server.run('plain');
    await list.open();
    await expect(list.row(id).getByTestId('waiting-for')).toHaveText(/^No worker since \d\d:\d\d$/);
    await page.screenshot({ path: join(SHOTS, 'workers-none.png'), fullPage: true });
  });
});
