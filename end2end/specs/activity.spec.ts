// The log panel: following, colors, prompts and links to frames.
import { print, waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

test('log follows the latest line until the user scrolls up, and again on request', async ({
  server,
  project,
  api,
  run,
  page,
}) => {
  await server.pipeline({
    name: 'follow',
    phases: {
      only: [
        print('early', 1, 300),
        ...[waitFor('one'), print('middle', 1, 100)],
        ...[waitFor('two'), print('late', 1, 100)],
        ...[waitFor('three'), 'echo the newest'],
        waitFor('end'),
      ].join('\n'),
    },
  });
  const id = await server.run('follow');
  const early = await api.printed(id, 'early 300');
  await run.open(id);
  await run.says('live');
  await expect(run.frame(early), 'it opens at the end').toBeInViewport();

  project.release('one');
  const middle = await api.printed(id, 'middle 100');
  await expect(run.frame(middle), 'it follows the end').toBeInViewport();

  // Scroll up with the wheel.
  await run.frame(middle).hover();
  await page.mouse.wheel(0, -2500);
  await expect(run.frame(middle)).not.toBeInViewport();
  const inView = () =>
    run.frames.evaluateAll((rows) => {
      const panel = rows[0]!.closest('[data-testid="activity"]')!.getBoundingClientRect();
      return rows
        .filter((row) => {
          const box = row.getBoundingClientRect();
          return box.top >= panel.top && box.bottom <= Math.min(panel.bottom, innerHeight);
        })
        .map((row) => [row.dataset['frameId'], Math.round(row.getBoundingClientRect().top)]);
    });
  let reading = await inView();
  await expect
    .poll(async () => {
      const before = reading;
      reading = await inView();
      return JSON.stringify(before) === JSON.stringify(reading);
    })
    .toBe(true);
  expect(reading.length).toBeGreaterThan(3);
  project.release('two');
  const late = await api.printed(id, 'late 100');
  await run.holds(late);
  expect(await inView(), 'visible rows do not move').toEqual(reading);
  await expect(run.frame(late)).not.toBeInViewport();

  await page.getByRole('button', { name: /latest/i }).click();
  await expect(run.frame(late)).toBeInViewport();
  project.release('three');
  const newest = await api.printed(id, 'the newest');
  await expect(run.frame(newest), 'it follows again').toBeInViewport();
  project.release('end');
  await api.reaches(id, 'completed');
  await run.showsAll(await api.frames(id));
});

test('ANSI colors are rendered, live and by the server', async ({ server, project, api, run }) => {
  await server.pipeline({
    name: 'colours',
    phases: {
      only: `echo ready\n${waitFor('go')}\nprintf 'no colour\\n\\033[31mit is red\\033[0m and \\033[1;32mit is green\\033[0m\\n'`,
    },
  });
  const id = await server.run('colours');
  await api.printed(id, 'ready');
  await run.open(id);
  await run.says('live');
  const look = async () => {
    const colour = (text: string) =>
      run.page.getByTestId('frame').getByText(text, { exact: true }).evaluate((element) => getComputedStyle(element).color);
    const [none, red, green] = [await colour('no colour'), await colour('it is red'), await colour('it is green')];
    expect(new Set([none, red, green]).size, `${none}, ${red}, ${green}`).toBe(3);
    await expect(run.frames.filter({ hasText: 'it is red and it is green' })).toHaveCount(1);
    expect(await run.activity.textContent()).not.toMatch(/\x1b|\[31m|\[0m/);
  };
  project.release('go');
  await api.reaches(id, 'completed');
  await run.isAt('completed', 1);
  await look();
  await run.open(id);
  await look();
});

test('prompt without a line break is shown while the command waits', async ({ server, project, api, run }) => {
  await server.pipeline({
    name: 'prompt',
    phases: { only: `printf 'Continue? [y/n] '\n${waitFor('answer')}\necho yes` },
  });
  const id = await server.run('prompt');
  await run.open(id);
  await expect(run.frames.filter({ hasText: 'Continue? [y/n]' })).toHaveCount(1);
  expect((await api.run(id)).status).toBe('running');
  project.release('answer');
  await run.isAt('completed', 1);
  await expect(run.activity).toContainText('yes');
  await run.showsAll(await api.frames(id));
});

test('link to a frame shows that frame', async ({ server, api, run, page }) => {
  await server.pipeline({ name: 'link', phases: { only: print('line', 1, 2000) } });
  const id = await server.run('link');
  await api.reaches(id, 'completed');
  const seq = await api.printed(id, 'line 321');
  await page.goto(`${run.base}/runs/${id}#f${seq}`);
  await expect(run.frame(seq)).toBeInViewport();
  await expect(run.frame(seq)).toContainText('line 321');
});

test('failed phase shows its exit code, and the next one does not run', async ({ server, api, run }) => {
  await server.pipeline({ name: 'fails', phases: { good: 'echo fine', bad: 'echo oh no >&2; exit 3', next: 'echo never' } });
  const id = await server.run('fails');
  const ended = await api.reaches(id, 'failed');
  expect(ended.error).toBeTruthy();
  await run.open(id);
  await run.isAt('failed', 1);
  await expect(run.phase('good')).toHaveAttribute('data-state', 'completed');
  await expect(run.phase('bad')).toHaveAttribute('data-state', 'failed');
  await expect(run.phase('next')).toHaveAttribute('data-state', /pending|skipped/);
  await expect(run.frames.filter({ hasText: 'oh no' })).toHaveCount(1);
  await expect(run.page.locator('body')).toContainText('3');
  await expect(run.page.locator('body')).toContainText(ended.error!);
  await run.showsAll(await api.frames(id));
});

test.describe('a long run', () => {
  test.use({ serverOptions: { pollInterval: '200ms' } });

  test('opens at its end and loads older rows when scrolled or linked to', async ({ server, api, run, page }) => {
    await server.pipeline({ name: 'long', phases: { only: print('line', 1, 60_000) } });
    const id = await server.run('long');
    const { head } = await api.reaches(id, 'completed');
    const asked: number[] = [];
    page.on('request', (request) => {
      const after = /\/frames\?after=(\d+)/.exec(request.url());
      if (after) asked.push(Number(after[1]));
    });
    await run.open(id);
    await expect(run.activity).toHaveAttribute('data-last', String(head));
    // A visible page also polls a finished run.
    await expect.poll(() => asked.length, { message: 'polls' }).toBeGreaterThan(3);
    expect(asked.filter((after) => after < head - 1000), 'only newer frames, and rows around those in view').toEqual([]);
    const shown = await run.count('frames');
    expect(shown).toBeLessThan(1000);

    await run.scroll('top');
    await expect.poll(() => run.count('frames')).toBeGreaterThan(shown);
    expect(await run.count('gaps')).toBe(0);

    const linked = await api.printed(id, 'line 55000');
    await page.goto(`${run.base}/runs/${id}#f${linked}`);
    await page.reload();
    await expect(run.frame(linked)).toBeInViewport();
    expect(await run.count('frames')).toBeLessThan(10_000);
    expect(await run.count('gaps')).toBe(0);
  });
});
