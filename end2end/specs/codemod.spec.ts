// The built-in pipelines, from the form to the branch.
import { join } from 'node:path';
import { hydrated } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const SHOTS = join(import.meta.dirname, '../test-results/shots');

const CODE = [
  'fn main() {',
  '    let name = std::env::args().nth(1).unwrap();',
  '    let text = std::fs::read_to_string(&name).unwrap();',
  '    println!("{}", text.lines().count());',
  '}',
  '',
].join('\n');

for (const screen of [
  { name: 'desktop', viewport: { width: 1280, height: 800 }, scheme: 'light' as const },
  { name: 'phone', viewport: { width: 390, height: 844 }, scheme: 'dark' as const },
]) {
  test.describe(`${screen.name}, ${screen.scheme}`, () => {
    test.use({ viewport: screen.viewport, colorScheme: screen.scheme, hasTouch: screen.name === 'phone' });

    test('refactor commits the patches shown to a branch', async ({ project, list, run, page, api }) => {
      project.commit({ 'main.rs': CODE });
      await list.open();
      await list.form.choose('refactor');
      await list.form.param('language').selectOption('rust');
      await list.form.param('pattern').fill('$A.unwrap()');
      await list.form.param('rewrite').fill('$A.expect("it is there")');
      await page.screenshot({ path: join(SHOTS, `refactor-form-${screen.name}.png`), fullPage: true });
      const id = await list.form.start();

      await run.status.and(page.locator('[data-status="completed"]')).waitFor();
      for (const phase of ['scanning', 'analyzing', 'generating', 'applying']) {
        await expect(run.phase(phase)).toHaveAttribute('data-state', 'completed');
      }
      const branch = `runtrail/${id}-1`;
      await expect(page.getByTestId('branch')).toHaveText(branch);
      await expect(page.getByTestId('outcome')).toContainText('2findings');
      await expect(page.getByTestId('outcome')).toContainText('0remaining');
      await expect(page.locator('[data-testid="frame"][data-kind="finding"]')).toHaveCount(2);
      await expect(page.locator('[data-testid="frame"][data-kind="patch"]')).toHaveCount(1);
      expect(project.git('show', `${branch}:main.rs`)).toBe(CODE.replaceAll('.unwrap()', '.expect("it is there")'));
      expect(project.git('status', '--porcelain')).toBe('');
      await page.screenshot({ path: join(SHOTS, `refactor-done-${screen.name}.png`), animations: 'disabled' });

      // The server renders the summary too.
      await page.reload();
      await hydrated(page);
      await expect(page.getByTestId('branch')).toHaveText(branch);

      // Another attempt gets a summary of its own.
      await run.rerun.click();
      await expect(page.getByTestId('branch')).toHaveText(`runtrail/${id}-2`);
      expect((await api.run(id)).attempt).toBe(2);
    });
  });
}

test('invalid pattern fails with its position and changes nothing', async ({ project, list, run, page }) => {
  await list.open();
  await list.form.choose('refactor');
  await list.form.param('language').selectOption('rust');
  await list.form.param('pattern').fill('foo($A');
  await list.form.param('rewrite').fill('bar($A)');
  await list.form.start();
  await run.status.and(page.locator('[data-status="failed"]')).waitFor();
  await expect(page.getByText('the pattern does not parse as Rust, line 1, column 7').first()).toBeVisible();
  await page.screenshot({ path: join(SHOTS, 'refactor-failed.png'), animations: 'disabled' });
  expect(project.git('branch', '--list', 'runtrail/*')).toBe('');
});
