// The layout of the run page: long content, and controls that must not be clicked by mistake.
import { hydrated } from '../support/pages.ts';
import { waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

const PHONE = { width: 390, height: 844 };

for (const viewport of [{ width: 1280, height: 800 }, PHONE]) {
  test.describe(`${viewport.width} pixels wide`, () => {
    test.use({ viewport });

    test('second click where Cancel was neither pins nor deletes', async ({ server, api, run, page }) => {
      await server.pipeline({ name: 'long', phases: { long: `echo ready\n${waitFor('never')}`, after: 'true' } });
      const id = await server.run('long');
      await api.printed(id, 'ready');
      await run.open(id);
      await run.says('live');
      const { x, y, width, height } = (await run.cancel.boundingBox())!;
      await run.cancel.click();
      await run.isAt('cancelled', 1);
      await expect(run.rerun).toBeVisible();
      const there = await page.evaluate(
        ([left, top, width, height]) => {
          const at = (part: number) => document.elementFromPoint(left + width * part, top + height / 2);
          return [0.1, 0.5, 0.9].map((part) => at(part)?.closest('[data-testid]')?.getAttribute('data-testid') ?? '');
        },
        [x, y, width, height] as const,
      );
      for (const what of there) expect(['pin', 'delete', 'delete-confirm']).not.toContain(what);
      // All actions are in one row.
      const tops = [];
      for (const what of ['pin', 'delete', 'rerun', 'rerun-edit']) tops.push(Math.round((await page.getByTestId(what).boundingBox())!.y));
      expect(new Set(tops).size, `the actions stand in one row: ${tops}`).toBe(1);
    });
  });
}

test('long paths and lines leave room for the other columns', async ({ server, api, run, page }) => {
  const path = `src/${'a_rather_long_folder/'.repeat(9)}main.rs`;
  const found = { kind: 'finding', path, line: 3, column: 7, rule: 'a-rule', severity: 'warning', message: 'This is what is wrong.' };
  const diff = `@@ -1,2 +1,2 @@\n fn main() {}\n-let a = "${'x'.repeat(400)}";\n+let a = "${'y'.repeat(400)}";\n`;
  const patch = { kind: 'patch', path, diff, added: 1, removed: 1 };
  await server.pipeline({
    name: 'finds',
    phases: { only: [found, patch].map((frame) => `cat <<'END'\n::frame ${JSON.stringify(frame)}\nEND`).join('\n') },
  });
  const id = await server.run('finds');
  await api.reaches(id, 'completed');
  await page.goto(`${server.base}/runs/${id}?tab=findings`);
  await hydrated(page);
  await expect(page.getByRole('cell', { name: 'This is what is wrong.' })).toBeInViewport({ ratio: 1 });
  await expect(page.getByTestId('finding').getByText('a-rule')).toBeInViewport({ ratio: 1 });
  await page.getByTestId('tab-changes').click();
  const sign = page.locator('tr[data-change="added"] .diff-sign').first();
  expect((await sign.boundingBox())!.width).toBeGreaterThanOrEqual(16);
  await run.isAt('completed', 1);
});

test('phase cut off by a cancel is shown as cancelled, with the reason above', async ({ server, api, run, page, list }) => {
  await server.pipeline({
    name: 'cut',
    phases: { first: 'echo done', second: `echo ready\n${waitFor('never')}`, third: 'true' },
  });
  const id = await server.run('cut');
  await api.printed(id, 'ready');
  await run.open(id);
  await run.says('live');
  await run.cancel.click();
  await run.isAt('cancelled', 1);
  const second = run.phase('second');
  await expect(second).toHaveAttribute('data-state', 'failed');
  const ending = page.getByTestId('ending');
  const shown = async () => {
    await expect(second).toContainText('cancelled');
    await expect(second).not.toContainText('failed');
    await expect(run.frames.filter({ hasText: 'second' }).filter({ hasText: 'cancelled' })).toHaveCount(1);
    await expect(run.frames.filter({ hasText: 'failed' })).toHaveCount(0);
    await expect(ending).toContainText(/^Cancelled by the operator/);
    await run.says('ended');
  };
  await shown();
  await page.reload();
  await hydrated(page);
  await shown();
  // The same in an earlier attempt.
  await api.rerun(id);
  await api.reaches(id, 'running');
  await page.goto(`${server.base}/runs/${id}?attempt=1`);
  await hydrated(page);
  await expect(second).toContainText('cancelled');
  await expect(ending).toContainText('Cancelled by the operator');
  await api.cancel(id);
  await api.reaches(id, 'cancelled');
  await list.open();
  await list.shows(id, 'cancelled');
});

test('resume skips a phase whose condition does not hold', async ({ server, api, run, page }) => {
  await server.pipeline({
    name: 'release',
    phases: { build: 'echo built' },
    more: [
      '[[phases]]\nname = "tell"\nrun = "echo told"\nif = ["failure"]',
      '[[phases]]\nname = "deploy"\nrun = "echo deployed"\napproval = true',
    ].join('\n'),
  });
  const id = await server.run('release');
  await expect.poll(async () => (await api.run(id)).approval).not.toBeNull();
  await run.open(id);
  await expect(page.getByText('Awaiting approval for')).toBeVisible();
  await page.getByTestId('reject').click();
  await run.isAt('cancelled', 1);
  await expect(page.getByTestId('ending')).toContainText(/^Rejected by the operator/);
  await expect(page.getByTestId('rerun-failed')).toHaveText('Resume from deploy');
  await page.getByTestId('rerun-failed').click();
  await page.getByTestId('approve').click();
  await run.isAt('completed', 2);
  await expect(page.getByTestId('rerun-failed')).toBeHidden();
  await expect(run.phase('tell')).toHaveAttribute('data-state', 'skipped');
});
