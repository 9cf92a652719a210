// Findings, patches and approval.
import { join } from 'node:path';
import { hydrated, RunPage } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const SHOTS = join(import.meta.dirname, '../test-results/shots');

const FILES = {
  'first.rs': 'fn first() -> Option<u8> {\n    let a = old(1);\n    let b = old(a);\n    Some(b)\n}\n',
  'second.rs': `fn second() {\n${'    // a line in between\n'.repeat(60)}    old(2);\n}\n`,
  'third.rs': 'fn third() {\n    old(3);\n}\n',
};
const REFACTOR = { language: 'rust', pattern: 'old($A)', rewrite: 'new($A, "new")', approval: true };

/** Starts a run that needs approval. */
async function needsApproval({ project, api }: { project: import('../support/project.ts').Project; api: import('../support/api.ts').Api }) {
  project.commit(FILES);
  const { id } = await api.start('refactor', { project: project.path, ...REFACTOR });
  await expect.poll(async () => (await api.run(id)).approval, { message: 'the run asks' }).not.toBeNull();
  return id;
}

for (const screen of [
  { name: 'desktop', viewport: { width: 1280, height: 800 }, scheme: 'light' as const },
  { name: 'phone', viewport: { width: 390, height: 844 }, scheme: 'dark' as const },
]) {
  test.describe(`${screen.name}, ${screen.scheme}`, () => {
    test.use({ viewport: screen.viewport, colorScheme: screen.scheme, hasTouch: screen.name === 'phone' });

    test('approval commits all patches but the excluded one', async ({ project, api, server, run, page, context, list }) => {
      const id = await needsApproval({ project, api });
      await list.open();
      await expect(list.row(id)).toContainText('Needs approval');
      await run.open(id);
      await expect(page.getByTestId('approval')).toContainText('Commit these patches to a new branch?');
      await expect(page).toHaveTitle(/^Needs approval/);
      await expect(run.phase('applying')).toHaveAttribute('data-state', 'pending');
      await expect(run.rerun).toBeHidden();

      // Another tab on the same run, which only reads.
      const other = new RunPage(await context.newPage(), server.base);
      await other.open(id);
      await expect(other.page.getByTestId('approve')).toBeVisible();

      await page.getByTestId('tab-changes').click();
      const patches = page.getByTestId('patch');
      await expect(patches).toHaveCount(3);
      await expect(patches.first()).toContainText('first.rs');
      await expect(patches.first().locator('tr[data-change="removed"]')).toHaveCount(2);
      await expect(patches.first().locator('tr[data-change="added"] .diff-word').first()).toHaveText('new');
      await expect(patches.first().locator('.t-keyword').first()).toHaveText('fn');
      // The text of the cells is code, without numbers.
      expect(await patches.first().locator('.diff-code').nth(1).innerText()).toBe('    let a = old(1);');
      await page.screenshot({ path: join(SHOTS, `changes-${screen.name}.png`), animations: 'disabled' });
      if (screen.name === 'desktop') {
        await page.getByRole('button', { name: 'Side by side' }).click();
        await expect(patches.first().locator('table')).toHaveAttribute('data-layout', 'split');
        await expect(patches.first().locator('tr', { hasText: 'let a' }).locator('td')).toHaveCount(6);
        await page.screenshot({ path: join(SHOTS, `changes-split-${screen.name}.png`), animations: 'disabled' });
      }
      await page.locator('[data-testid="patch"][data-path="second.rs"]').getByTestId('include').uncheck();
      await expect(page.getByTestId('approval')).toContainText('3 patches, 1 excluded');
      // The exclusion survives other tabs and a reload.
      await page.getByTestId('tab-findings').click();
      await page.reload();
      await hydrated(page);
      await expect(page.getByTestId('approval')).toContainText('3 patches, 1 excluded');
      await page.getByTestId('tab-changes').click();
      await expect(page.locator('[data-testid="patch"][data-path="second.rs"]').getByTestId('include')).not.toBeChecked();
      await page.getByRole('button', { name: 'Select none' }).click();
      await expect(page.getByTestId('approval')).toContainText('3 patches, 3 excluded');
      await page.getByRole('button', { name: 'Select all' }).click();
      await page.getByLabel('Include changes to second.rs').uncheck();
      await expect(page.getByTestId('approval')).toContainText('3 patches, 1 excluded');
      await page.getByTestId('approve').click();

      for (const shown of [run, other]) {
        await shown.isAt('completed', 1);
        await expect(shown.page.getByTestId('approval')).toBeHidden();
        await expect(shown.page.getByTestId('branch')).toHaveText(`runtrail/${id}-1`);
      }
      await expect(page.locator('[data-testid="patch"][data-path="second.rs"]')).toContainText('excluded');
      expect(project.git('diff', '--name-only', 'HEAD', `runtrail/${id}-1`)).toBe('first.rs\nthird.rs\n');
      expect(project.git('status', '--porcelain')).toBe('');
    });

    test('findings are filtered and link to their line in the diff', async ({ project, api, page, server }) => {
      const id = await needsApproval({ project, api });
      await page.goto(`${server.base}/runs/${id}?tab=findings`);
      await hydrated(page);
      const findings = page.getByTestId('finding');
      await expect(findings).toHaveCount(4);
      await page.screenshot({ path: join(SHOTS, `findings-${screen.name}.png`), animations: 'disabled' });
      await page.getByTestId('finding-path').fill('SECOND');
      await expect(findings).toHaveCount(1);
      await page.getByTestId('finding-severity').selectOption('info');
      await page.getByTestId('finding-rule').selectOption('pattern');
      await expect(findings).toHaveCount(1);
      // The filter survives a change of the tab.
      await page.getByTestId('tab-changes').click();
      await page.getByTestId('tab-findings').click();
      await expect(page.getByTestId('finding-rule')).toHaveValue('pattern');
      await expect(page.getByTestId('finding-path')).toHaveValue('SECOND');
      await expect(findings).toHaveCount(1);
      await page.getByTestId('finding-path').fill('nowhere');
      await expect(findings).toHaveCount(0);
      await expect(page.getByTestId('review')).toContainText('No findings.');
      await page.getByTestId('finding-path').fill('second');
      await findings.getByRole('link', { name: 'second.rs:62:5' }).click();
      const line = page.locator('tr[data-shown]');
      await expect(line).toContainText('old(2)');
      await expect(line).toBeInViewport();
      // The browser's back button works.
      await page.goBack();
      await expect(page.getByTestId('findings')).toBeVisible();
      // A link can be shared.
      const link = `${server.base}/runs/${id}?tab=changes&at=${(await api.frames(id)).find((frame) => frame.data['path'] === 'third.rs' && frame.kind === 'patch')!.seq}:2`;
      await page.goto(link);
      await expect(page.locator('tr[data-shown]')).toContainText('old(3)');
    });
  });
}

test('rejected run is cancelled and can be re-run', async ({ project, api, run, page }) => {
  const id = await needsApproval({ project, api });
  await run.open(id);
  await page.getByTestId('reject').click();
  await run.isAt('cancelled', 1);
  await expect(page.getByTestId('approve')).toBeHidden();
  await expect(run.phase('applying')).toHaveAttribute('data-state', 'skipped');
  expect(project.git('branch', '--list', 'runtrail/*')).toBe('');
  await run.rerun.click();
  await expect(page.getByTestId('approve')).toBeVisible();
  await run.isAt('running', 2);
  // Another user approves: the page shows it.
  await api.approve(id);
  await run.isAt('completed', 2);
  await expect(page.getByTestId('branch')).toHaveText(`runtrail/${id}-2`);
});

test('patches appear while the page is open', async ({ server, project, page }) => {
  const report = (path: string) =>
    `printf '%s\\n' '::frame ${JSON.stringify({ kind: 'patch', path, diff: `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-one\n+two\n`, added: 1, removed: 1 })}'`;
  const wait = 'while [ ! -e "$RUNTRAIL_PARAM_PROJECT/go" ]; do sleep 0.05; done';
  const odd = `printf '%s\\n' '::frame ${JSON.stringify({ kind: 'patch', path: 'odd.txt', diff: 'this is no diff' })}'`;
  await server.pipeline({ name: 'agent', phases: { work: [report('a.txt'), wait, report('b.txt'), odd].join('\n') } });
  const id = await server.run('agent');
  await page.goto(`${server.base}/runs/${id}`);
  await hydrated(page);
  await page.getByTestId('tab-changes').click();
  await expect(page.getByTestId('patch')).toHaveCount(1);
  project.release('go');
  await expect(page.getByTestId('patch')).toHaveCount(3);
  await expect(page.getByTestId('patch').nth(1)).toContainText('two');
  await expect(page.getByTestId('patch').nth(2)).toContainText('this is no diff');
});

test('long patch is drawn in parts', async ({ server, project, api, page }) => {
  const lines = Array.from({ length: 4000 }, (_, line) => `+line ${line}`);
  const diff = `--- a/long.txt\n+++ b/long.txt\n@@ -0,0 +1,4000 @@\n${lines.join('\n')}\n`;
  project.commit({ 'report.json': `::frame ${JSON.stringify({ kind: 'patch', path: 'long.txt', diff, added: 4000 })}\n` });
  await server.pipeline({ name: 'agent', phases: { work: 'cat "$RUNTRAIL_PARAM_PROJECT/report.json"' } });
  const id = await server.run('agent');
  await api.reaches(id, 'completed');
  await page.goto(`${server.base}/runs/${id}?tab=changes`);
  await hydrated(page);
  await expect(page.locator('tr[data-change="added"]')).toHaveCount(1500);
  await page.getByRole('button', { name: 'Show all 4,000 lines' }).click();
  await expect(page.locator('tr[data-change="added"]')).toHaveCount(4000);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('patches can be read and approved', async ({ project, api, page, server }) => {
    const id = await needsApproval({ project, api });
    await page.goto(`${server.base}/runs/${id}?tab=findings`);
    await expect(page.getByTestId('finding')).toHaveCount(4);
    await page.getByTestId('tab-changes').click();
    await expect(page.getByTestId('patch')).toHaveCount(3);
    await expect(page.getByTestId('patch').first()).toContainText('let a = old(1);');
    // No checkboxes, since they would have no effect.
    await expect(page.getByTestId('include').first()).toBeHidden();
    await page.getByTestId('approve').click();
    await api.reaches(id, 'completed');
    await page.goto(`${server.base}/runs/${id}`);
    await expect(page.getByTestId('branch')).toHaveText(`runtrail/${id}-1`);
  });
});
