// Screenshots of the pages on desktop and phone, light and dark, with checks of their layout.
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { print, waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

const here = import.meta.dirname;
const SHOTS = join(here, '../test-results/shots');
const README_PICTURE = join(here, '../../docs/run-page.png');

const screens = [
  { name: 'desktop', viewport: { width: 1280, height: 800 } },
  { name: 'phone', viewport: { width: 390, height: 844 } },
];
const CHECK = [
  `printf '\\033[1mChecking\\033[0m 3 files\\n'`,
  `printf '\\033[32m   ok\\033[0m src/main.rs\\n\\033[32m   ok\\033[0m src/lib.rs\\n'`,
  `printf '\\033[33m warn\\033[0m src/unused.rs:14: this function is never called\\n' >&2`,
].join('\n');
const TEST = [
  `printf 'running 24 tests\\n'`,
  `for name in accepts_a_path refuses_a_path_outside counts_lines keeps_order survives_a_restart; do printf 'test %s ... \\033[32mok\\033[0m\\n' $name; done`,
  `printf 'test a_name_that_is_rather_long_and_goes_on_and_on_without_a_place_to_break_it_because_it_is_only_one_word_of_its_own_kind_%s ... \\033[32mok\\033[0m\\n' here`,
].join('\n');

/** The page is no wider than the screen. */
async function fits(page: Page): Promise<void> {
  const width = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    screen: document.documentElement.clientWidth,
  }));
  expect(width.content, 'the page does not scroll sideways').toBeLessThanOrEqual(width.screen);
}

/** The brightness of the background, 0 to 255. */
function brightness(page: Page): Promise<number> {
  return page.evaluate(() => {
    // Painted on a canvas, which accepts any color notation.
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
    for (const element of [document.documentElement, document.body]) {
      canvas.fillStyle = getComputedStyle(element).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
    }
    const [red = 0, green = 0, blue = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data;
    return alpha === 0 ? 255 : 0.299 * red + 0.587 * green + 0.114 * blue;
  });
}

for (const screen of screens) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`${screen.name}, ${scheme}`, () => {
      test.use({ viewport: screen.viewport, colorScheme: scheme, hasTouch: screen.name === 'phone', timezoneId: 'UTC' });

      test('pages fit the screen with usable controls', async ({ server, project, api, list, run, page }) => {
        await server.pipeline({
          name: 'nightly',
          title: 'Nightly checks',
          params: [
            { name: 'project', type: 'path', required: true },
            { name: 'branch', type: 'string', default: 'main' },
            { name: 'level', type: 'choice', choices: ['quick', 'thorough'], default: 'quick' },
            { name: 'fix', type: 'boolean', default: false },
          ],
          phases: { check: CHECK, test: `${TEST}\n${waitFor('end')}`, report: `echo 24 passed, 1 warning\n${print('note', 1, 60)}` },
        });
        await server.pipeline({
          name: 'broken',
          title: 'One that fails',
          phases: { build: 'echo building', test: 'echo "error: expected 2, got 3" >&2; exit 101', publish: 'echo never' },
        });
        const shot = (name: string) =>
          page.screenshot({ path: join(SHOTS, `${name}-${screen.name}-${scheme}.png`), animations: 'disabled' });
        const seen = async (name: string) => {
          await fits(page);
          const light = await brightness(page);
          if (scheme === 'light') expect(light).toBeGreaterThan(180);
          else expect(light).toBeLessThan(75);
          await shot(name);
        };

        const failed = await server.run('broken');
        await api.reaches(failed, 'failed');
        const live = await server.run('nightly');
        await expect.poll(async () => (await api.run(live)).phase).toBe('test');
        await expect.poll(async () => (await api.frames(live)).length).toBeGreaterThan(14);

        await list.open();
        await list.shows(live, 'running');
        await list.shows(failed, 'failed');
        await list.row(live).scrollIntoViewIfNeeded();
        await expect(list.row(live)).toBeInViewport();
        await seen('list');

        await list.form.choose('nightly');
        for (const name of ['project', 'branch', 'level', 'fix']) await expect(list.form.param(name)).toBeVisible();
        await list.form.submit.scrollIntoViewIfNeeded();
        await expect(list.form.submit).toBeInViewport({ ratio: 1 });
        await expect(list.form.submit).toBeEnabled();
        await seen('start-form');

        await run.open(live);
        await run.says('live');
        await run.holds((await api.run(live)).head);
        await expect(run.status).toBeInViewport({ ratio: 1 });
        await expect(run.connection).toBeInViewport({ ratio: 1 });
        await expect(run.cancel).toBeInViewport({ ratio: 1 });
        for (const phase of ['check', 'test', 'report']) await expect(run.phase(phase)).toBeVisible();
        await expect(run.frames.filter({ hasText: 'running 24 tests' })).toBeVisible();
        await seen('run-live');
        if (process.env['UPDATE_SCREENSHOT'] && screen.name === 'desktop' && scheme === 'light') {
          await page.screenshot({ path: README_PICTURE, animations: 'disabled' });
        }

        project.release('end');
        await run.isAt('completed', 1);
        await run.says('ended');
        await run.holds((await api.run(live)).head);
        await expect(run.rerun).toBeInViewport({ ratio: 1 });
        await expect(run.frames.filter({ hasText: 'note 60' })).toBeInViewport();
        await seen('run-finished');

        await run.open(failed);
        await run.isAt('failed', 1);
        await expect(run.frames.filter({ hasText: 'expected 2, got 3' }).first()).toBeInViewport();
        await expect(run.rerun).toBeInViewport({ ratio: 1 });
        await seen('run-failed');

        // Touch targets are large enough.
        if (screen.name === 'phone') {
          const box = (await run.rerun.boundingBox())!;
          expect(box.height, 'the height of the re-run button').toBeGreaterThanOrEqual(32);
        }
        await fits(page);
      });
    });
  }
}
