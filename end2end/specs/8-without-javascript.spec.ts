// 8. Without JavaScript, the list and the run page can be read.
import { print, waitFor } from '../support/project.ts';
import { ListPage, plain, RunPage } from '../support/pages.ts';
import { lineOf } from '../support/api.ts';
import { expect, test } from '../support/test.ts';

test.use({ javaScriptEnabled: false });

test('list and run pages are readable', async ({ server, project, api, page }) => {
  await server.pipeline({
    name: 'read',
    title: 'Something to read',
    phases: { first: print('a line to read', 1, 40), second: `echo nearly done\n${waitFor('end')}` },
  });
  const id = await server.run('read');
  await api.printed(id, 'nearly done');

  const list = new ListPage(page, server.base);
  await page.goto(`${server.base}/`);
  await expect(list.row(id)).toBeVisible();
  await list.shows(id, 'running');
  await expect(list.row(id)).toContainText(/running/i);
  await list.follow(id);

  const run = new RunPage(page, server.base);
  const readable = async () => {
    const journal = await api.frames(id);
    await run.holds(journal.length);
    for (const frame of journal) {
      const row = run.frame(frame.seq);
      await row.scrollIntoViewIfNeeded();
      await expect(row).toBeInViewport();
      const line = lineOf(frame);
      if (line !== undefined) await expect(row).toContainText(plain(line));
    }
    // Rows do not overlap.
    const boxes = await run.frames.evaluateAll((rows) =>
      rows.map((row) => ({ top: row.getBoundingClientRect().top, bottom: row.getBoundingClientRect().bottom })),
    );
    boxes.forEach((box, index) => {
      expect(box.bottom - box.top, `row ${index} has a height`).toBeGreaterThan(8);
      if (index > 0) expect(box.top, `row ${index} lies below the one before`).toBeGreaterThanOrEqual(boxes[index - 1]!.bottom - 1);
    });
  };
  await run.isAt('running', 1);
  await expect(run.phase('first')).toHaveAttribute('data-state', 'completed');
  await expect(run.phase('second')).toHaveAttribute('data-state', 'started');
  await readable();

  project.release('end');
  await api.reaches(id, 'completed');
  await page.reload();
  await run.isAt('completed', 1);
  await readable();
});

test('unknown run is a 404 page', async ({ page, server, complaints }) => {
  complaints.expect(/status of 404 .*\/runs\/0193/);
  const answer = await page.goto(`${server.base}/runs/01939f1c-8f2a-7c3e-9d5b-0123456789ab`);
  expect(answer!.status()).toBe(404);
  await expect(page.locator('body')).toContainText(/no such run|not found|no run/i);
  await expect(page.locator('a[href="/"]').first()).toBeVisible();
});
