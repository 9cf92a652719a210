// The attempts of a run: live tabs, comparison, and re-runs with changes.
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { hydrated, RunPage, sameDocument } from '../support/pages.ts';
import { print, waitFor } from '../support/project.ts';
import type { PipelineSpec } from '../support/server.ts';
import { expect, test } from '../support/test.ts';

const pipeline: PipelineSpec = {
  name: 'tries',
  title: 'Nightly checks',
  params: [
    { name: 'project', type: 'path', required: true },
    { name: 'word', type: 'string', required: true },
    { name: 'level', type: 'choice', choices: ['quick', 'thorough'], default: 'quick' },
    { name: 'loud', type: 'boolean', default: false },
  ],
  phases: {
    make: print('made', 1, 30),
    check: 'echo "checking $RUNTRAIL_PARAM_WORD, loud: $RUNTRAIL_PARAM_LOUD"; echo done; [ "$RUNTRAIL_PARAM_WORD" != bad ]',
  },
};

const attempt = (page: Page, number: number) => page.locator(`[data-testid="attempt"][data-attempt="${number}"]`);

test('attempts are tabs, live in every browser tab, and keep their own state', async ({
  server,
  project,
  api,
  run,
  page,
  context,
}) => {
  await server.pipeline({ ...pipeline, phases: { ...pipeline.phases, hold: waitFor('go') } });
  const id = await server.run('tries', { word: 'bad' });
  await api.reaches(id, 'failed');
  const other = new RunPage(await context.newPage(), server.base);
  const tabs = [run, other];
  const unchanged = [];
  for (const tab of tabs) {
    await tab.open(id);
    await tab.isAt('failed', 1);
    await expect(tab.page.getByTestId('attempts'), 'one attempt needs no tabs').toBeHidden();
    unchanged.push(await sameDocument(tab.page));
  }
  await api.rerun(id, { params: { project: project.path, word: 'good' } });
  for (const tab of tabs) {
    await expect(attempt(tab.page, 1)).toHaveAttribute('data-status', 'failed');
    await expect(attempt(tab.page, 2)).toHaveAttribute('data-status', 'running');
    await expect(attempt(tab.page, 2)).toHaveAttribute('aria-current', 'page');
    await expect(tab.page.getByText('good', { exact: true }), 'its parameters').toBeVisible();
  }

  // One tab selects an earlier attempt while the other stays.
  await page.bringToFront();
  await attempt(page, 1).click();
  await expect(page).toHaveURL(`${server.base}/runs/${id}?attempt=1`);
  await expect(page.getByTestId('attempt-shown')).toContainText('Viewing attempt 1 of 2');
  await expect(page.getByTestId('attempt-shown')).toHaveAttribute('data-status', 'failed');
  await expect(run.phase('check')).toHaveAttribute('data-state', 'failed');
  await expect(run.phase('hold')).toHaveAttribute('data-state', 'skipped');
  await expect(page.getByText('bad', { exact: true })).toBeVisible();
  await expect(run.frame(1), 'the list is at its first frame').toBeInViewport();
  await run.isAt('running', 2);
  await expect(other.phase('hold')).toHaveAttribute('data-state', 'started');
  project.release('go');
  for (const tab of tabs) {
    await tab.isAt('completed', 2);
    await expect(attempt(tab.page, 2)).toHaveAttribute('data-status', 'completed');
  }
  await expect(run.phase('check'), 'what is shown stays').toHaveAttribute('data-state', 'failed');
  await expect(other.phase('check')).toHaveAttribute('data-state', 'completed');
  // The log panel has the whole journal, whichever attempt is selected.
  for (const tab of tabs) await tab.holds((await api.run(id)).head);

  // The same after a reload; then back to the latest attempt.
  await unchanged[1]!();
  await unchanged[0]!();
  await page.reload();
  await hydrated(page);
  await expect(run.phase('check')).toHaveAttribute('data-state', 'failed');
  await expect(run.frame(1)).toBeInViewport();
  await page.getByRole('link', { name: 'Go to latest' }).click();
  await expect(run.phase('check')).toHaveAttribute('data-state', 'completed');
  await expect(page.getByTestId('attempt-shown')).toBeHidden();
  await expect(run.frames.last()).toBeInViewport();
  await page.goBack();
  await expect(run.phase('check')).toHaveAttribute('data-state', 'failed');

  // A re-run from there leads to the new attempt.
  await run.rerun.click();
  await run.isAt('completed', 3);
  await expect(page).toHaveURL(`${server.base}/runs/${id}`);
  await expect(attempt(page, 3)).toHaveAttribute('aria-current', 'page');
});

test('earlier attempt has its own findings and changes', async ({ server, api, run, page }) => {
  const finding = `echo '::frame {"kind":"finding","path":"src/a.rs","line":7,"rule":"found-'$RUNTRAIL_ATTEMPT'","severity":"info","message":"m"}'`;
  await server.pipeline({ name: 'finds', phases: { only: `${finding}\n[ $RUNTRAIL_ATTEMPT = 1 ] || ${finding}` } });
  const id = await server.run('finds');
  await api.reaches(id, 'completed');
  await api.rerun(id);
  await expect.poll(async () => (await api.run(id)).attempt).toBe(2);
  await api.reaches(id, 'completed');
  await run.open(id);
  await page.getByTestId('tab-findings').click();
  await expect(page.getByTestId('finding')).toHaveCount(2);
  await attempt(page, 1).click();
  await expect(page).toHaveURL(/attempt=1&tab=findings/);
  await expect(page.getByTestId('finding')).toHaveCount(1);
  await expect(page.getByTestId('finding')).toHaveAttribute('data-rule', 'found-1');
  await expect(page.getByTestId('tab-findings')).toContainText('1');
});

test('phases and reused durations match the API after the pipeline has changed', async ({
  server,
  project,
  api,
  run,
  page,
}) => {
  const broken = `[ -e "$RUNTRAIL_PARAM_PROJECT/mended" ]`;
  await server.pipeline({ name: 'parts', phases: { first: 'sleep 1.2', second: broken, third: 'true' } });
  const id = await server.run('parts');
  await api.reaches(id, 'failed');
  await run.open(id);
  await run.isAt('failed', 1);
  const took = await run.phase('first').innerText();
  await server.pipeline({ name: 'parts', phases: { first: 'sleep 1.2', second: broken, added: waitFor('go'), last: 'true' } });
  await expect.poll(async () => JSON.stringify(await api.pipelines())).toContain('added');
  project.release('mended');
  await api.rerun(id, { from: 'failed' });
  await run.isAt('running', 2);
  const names = () => page.getByTestId('phase').evaluateAll((all) => all.map((each) => each.getAttribute('data-phase')));
  await expect.poll(names).toEqual(['first', 'second', 'added', 'last']);
  await expect(run.phase('first'), 'it is carried over with its time').toHaveText(took, { useInnerText: true });
  project.release('go');
  await run.isAt('completed', 2);
  expect(await names()).toEqual((await api.run(id)).phases.map((phase) => phase.name));
});

test('comparison leads to the frame of the first line that differs', async ({ server, project, api, run, page }) => {
  await server.pipeline(pipeline);
  const id = await server.run('tries', { word: 'bad' });
  await api.reaches(id, 'failed');
  await api.rerun(id, { params: { project: project.path, word: 'good' } });
  await api.reaches(id, 'completed');
  await run.open(id);
  await page.getByTestId('compare').click();
  await page.waitForURL(`${server.base}/runs/${id}/compare?a=1&b=2`);
  const phase = (name: string) => page.locator(`[data-testid="compare-phase"][data-phase="${name}"]`);
  await expect(page.getByTestId('compare-side').nth(0)).toHaveAttribute('data-status', 'failed');
  await expect(page.getByTestId('compare-side').nth(1)).toHaveAttribute('data-status', 'completed');
  await expect(page.getByTestId('param-difference')).toHaveCount(1);
  await expect(page.getByTestId('param-difference')).toContainText('good');
  await expect(phase('make')).toHaveAttribute('data-log', 'same');
  await expect(phase('make')).toContainText('Identical output (30 lines)');
  await expect(phase('check')).toHaveAttribute('data-log', 'differs');
  await expect(phase('check')).toContainText('exit code 1');
  const sides = phase('check').getByTestId('difference-side');
  await expect(sides.nth(0)).toContainText('checking bad');
  await expect(sides.nth(1)).toContainText('checking good');

  // The link leads to the line in the log.
  const seq = await api.printed(id, 'checking good, loud: false');
  await sides.nth(1).getByTestId('difference-frame').click();
  await page.waitForURL(`${server.base}/runs/${id}#f${seq}`);
  await hydrated(page);
  await expect(run.frame(seq)).toBeInViewport();
  await expect(run.frame(seq)).toHaveAttribute('data-marked', '');

  // Other attempts are selected on the page.
  await page.goto(`${server.base}/runs/${id}/compare`);
  await hydrated(page);
  await page.getByTestId('compare-b').selectOption('1');
  await page.getByTestId('compare-go').click();
  await page.waitForURL(/a=1&b=1/);
  await expect(phase('check')).toHaveAttribute('data-log', 'same');
});

test('re-run form shows differences, and errors at their fields', async ({
  server,
  project,
  api,
  run,
  page,
  complaints,
}) => {
  complaints.expect(/Failed to load resource: the server responded with a status of 422/);
  await server.pipeline(pipeline);
  const id = await server.run('tries', { word: 'bad', level: 'thorough' });
  await api.reaches(id, 'failed');
  await run.open(id);
  const unchanged = await sameDocument(page);
  const field = (name: string) => page.getByTestId(`param-${name}`);
  const dialog = page.getByTestId('edit-dialog');

  // Opened and closed by keyboard, without an effect.
  await page.getByTestId('rerun-edit').focus();
  await page.keyboard.press('Enter');
  await expect(dialog).toBeVisible();
  expect(await dialog.evaluate((element) => element.matches(':modal'))).toBe(true);
  await expect(field('project')).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page).toHaveURL(`${server.base}/runs/${id}`);
  expect((await api.run(id)).attempt).toBe(1);

  await page.getByTestId('rerun-edit').click();
  await expect(field('word')).toHaveValue('bad');
  await expect(field('level')).toHaveValue('thorough');
  await expect(field('loud')).not.toBeChecked();
  await expect(page.getByTestId('differs')).toHaveCount(0);
  await field('word').fill('');
  await field('loud').check();
  await field('level').selectOption('quick');
  await expect(page.getByTestId('differs')).toHaveText([/1: bad/, /1: thorough/, /1: off/]);
  await page.getByTestId('differs').filter({ hasText: 'thorough' }).getByRole('button', { name: 'Reset' }).click();
  await expect(field('level')).toHaveValue('thorough');
  await expect(page.getByTestId('differs')).toHaveCount(2);

  await page.getByTestId('from-failed').check();
  await page.getByTestId('rerun-edited').click();
  await expect(page.locator('#param-word-error')).toHaveText(/required/);
  await expect(field('word')).toBeFocused();
  await expect(field('loud'), 'what was chosen stays').toBeChecked();
  expect((await api.run(id)).attempt, 'nothing was started').toBe(1);

  await field('word').fill('good');
  await page.getByTestId('rerun-edited').click();
  await run.isAt('completed', 2);
  await expect(dialog).toHaveCount(0);
  await expect(run.frames.filter({ hasText: 'checking good, loud: true' })).toHaveCount(1);
  expect((await api.run(id)).params).toEqual({ project: project.path, word: 'good', level: 'thorough', loud: true });
  expect((await api.frames(id)).filter((frame) => frame.data['carried'] === true), 'from where it failed').toHaveLength(1);
  await unchanged();

  // From an earlier attempt: its parameters, compared with those of the latest one.
  await attempt(page, 1).click();
  await expect(page.getByTestId('attempt-shown')).toBeVisible();
  await page.getByTestId('rerun-edit').click();
  await expect(field('word')).toHaveValue('bad');
  await expect(page.getByTestId('differs')).toHaveText([/2: good/, /2: on/]);
  // Another user re-runs first: the form says so and keeps its input.
  await api.rerun(id);
  await api.reaches(id, 'completed');
  await expect(run.status).toHaveAttribute('data-attempt', '3');
  await expect(dialog.getByText('Attempt 3 has started meanwhile.')).toBeVisible();
  await expect(field('word')).toHaveValue('bad');
  await page.getByTestId('rerun-edited').click();
  await run.isAt('failed', 4);
  expect((await api.run(id)).params).toMatchObject({ word: 'bad' });
});

test('re-run form has the current parameters of a changed pipeline', async ({ server, api, run, page }) => {
  await server.pipeline(pipeline);
  const id = await server.run('tries', { word: 'good', level: 'thorough' });
  await api.reaches(id, 'completed');
  await run.open(id);
  await server.pipeline({
    ...pipeline,
    params: [
      { name: 'project', type: 'path', required: true },
      { name: 'level', type: 'choice', choices: ['quick', 'slow'], default: 'quick' },
      { name: 'rounds', type: 'integer', default: 3 },
    ],
  });
  await expect.poll(async () => JSON.stringify(await api.pipelines())).toContain('rounds');
  await page.getByTestId('rerun-edit').click();
  await expect(page.getByTestId('param-rounds')).toHaveValue('3');
  await expect(page.getByTestId('param-word')).toHaveCount(0);
  await expect(page.getByTestId('gone')).toContainText('loud, word');
  await expect(page.getByTestId('differs').filter({ hasText: 'Attempt 1: thorough' })).toBeVisible();
  await page.getByTestId('param-level').selectOption('slow');
  await page.getByTestId('rerun-edited').click();
  await expect.poll(async () => (await api.run(id)).params['rounds']).toBe(3);
  expect((await api.run(id)).params['level']).toBe('slow');
});

const SHOTS = join(import.meta.dirname, '../test-results/shots');

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('attempts, comparison and the re-run form work', async ({ server, project, api, run, page }) => {
    await server.pipeline(pipeline);
    const id = await server.run('tries', { word: 'bad', loud: true });
    await api.reaches(id, 'failed');
    await api.rerun(id, { params: { project: project.path, word: 'good', loud: true } });
    await api.reaches(id, 'completed');
    await page.goto(`${server.base}/runs/${id}`);
    await run.isAt('completed', 2);
    await attempt(page, 1).click();
    await run.isAt('completed', 2);
    await expect(run.phase('check')).toHaveAttribute('data-state', 'failed');
    await expect(page.getByTestId('attempt-shown')).toHaveAttribute('data-status', 'failed');
    await run.holds((await api.run(id)).head);

    await page.getByTestId('rerun-edit').click();
    await expect(page.getByTestId('differs')).toHaveText(/2: good/);
    await page.screenshot({ path: join(SHOTS, 'attempts-edit-without-scripts.png') });
    await page.getByTestId('param-word').fill('better');
    await page.getByTestId('param-loud').uncheck();
    await page.getByTestId('rerun-edited').click();
    await expect(page).toHaveURL(`${server.base}/runs/${id}`);
    await api.reaches(id, 'completed');
    expect((await api.run(id)).params).toMatchObject({ word: 'better', loud: false });
    await page.reload();
    await page.getByTestId('compare').click();
    await expect(page.locator('[data-testid="compare-phase"][data-phase="check"]')).toContainText('checking better');
  });
});

for (const screen of [
  { name: 'desktop', viewport: { width: 1280, height: 800 } },
  { name: 'phone', viewport: { width: 390, height: 844 } },
]) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`${screen.name}, ${scheme}`, () => {
      test.use({ viewport: screen.viewport, colorScheme: scheme, timezoneId: 'UTC' });

      test('attempts, re-run form and comparison fit the screen', async ({ server, project, api, run, page }) => {
        const red = `printf '\\033[31merror\\033[0m: expected 2, got %s\\n' "$RUNTRAIL_ATTEMPT" >&2`;
        await server.pipeline({
          ...pipeline,
          phases: { ...pipeline.phases, deploy: `echo deploying; sleep 0.3; ${red}; [ "$RUNTRAIL_PARAM_WORD" != worse ]` },
        });
        const id = await server.run('tries', { word: 'bad' });
        await api.reaches(id, 'failed');
        for (let number = 2; number <= 12; number += 1) {
          const word = ['bad', 'good', 'worse'][number % 3];
          await api.rerun(id, { params: { project: project.path, word } });
          await expect.poll(async () => ['failed', 'completed'].includes((await api.run(id)).status)).toBe(true);
        }
        const seen = async (name: string) => {
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(wide, `${name} does not scroll sideways`).toBeLessThanOrEqual(0);
          await page.screenshot({ path: join(SHOTS, `${name}-${screen.name}-${scheme}.png`), animations: 'disabled' });
        };
        await run.open(id);
        await run.isAt('failed', 12).catch(() => run.isAt('completed', 12));
        await seen('attempts');
        const menu = page.locator('details:has([data-testid="more-attempts"])');
        await page.getByTestId('more-attempts').click();
        await expect(menu).toHaveAttribute('open', '');
        await attempt(page, 3).focus();
        await page.keyboard.press('Escape');
        await expect(menu).not.toHaveAttribute('open');
        await expect(page.getByTestId('more-attempts')).toBeFocused();
        await page.getByTestId('more-attempts').click();
        await page.getByRole('heading', { level: 1 }).click();
        await expect(menu, 'a click elsewhere closes it').not.toHaveAttribute('open');
        await page.getByTestId('more-attempts').click();
        await seen('attempts-menu');
        await attempt(page, 3).click();
        await expect(page.getByTestId('attempt-shown')).toBeVisible();
        await page.getByTestId('more-attempts').click();
        await seen('attempts-earlier');
        await page.getByTestId('rerun-edit').click();
        await page.getByTestId('param-level').selectOption('thorough');
        await page.getByTestId('param-word').fill('');
        await seen('attempts-edit');
        await page.goto(`${server.base}/runs/${id}/compare?a=3&b=4`);
        await hydrated(page);
        await seen('attempts-compare');
      });
    });
  }
}
