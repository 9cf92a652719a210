// Log lines are rendered as in a terminal: redraws, colors across lines, marks for invisible characters, links.
import { print, waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

const bidi = '\\342\\200\\256';

test('progress bar is one row, live and after a reload', async ({ server, project, api, run }) => {
  const steps = [10, 20, 30].map((step) => `printf '\\r%3d%% done' ${step}\n${waitFor(`step${step}`)}`);
  await server.pipeline({ name: 'bar', phases: { only: ['echo begin', ...steps, "printf '\\r100%% done\\nend\\n'"].join('\n') } });
  const id = await server.run('bar');
  await run.open(id);
  await run.says('live');
  const bar = run.frames.filter({ hasText: '% done' });
  for (const step of [10, 20, 30]) {
    await expect(bar).toHaveText(new RegExp(`${step}% done`));
    await expect(bar).toHaveCount(1);
    project.release(`step${step}`);
  }
  await api.reaches(id, 'completed');
  for (const open of [false, true]) {
    if (open) await run.open(id);
    await expect(bar).toHaveCount(1);
    await expect(bar).toContainText('100% done');
    expect(await run.count('gaps')).toBe(0);
  }
  const log = await (await run.page.request.get(`${run.base}/api/v1/runs/${id}/log`)).text();
  expect(log).toBe('begin\n100% done\nend\n');
});

test('ANSI color continues on later lines, also when the page opens in the middle of the log', async ({ server, api, run, page }) => {
  await server.pipeline({
    name: 'red',
    phases: { only: `printf '\\033[31m'\n${print('red', 1, 2000)}\nprintf '\\033[0mplain\\n'` },
  });
  const id = await server.run('red');
  await api.reaches(id, 'completed');
  const seq = await api.printed(id, '\u001b[31mred 1000\u001b[0m');
  await page.goto(`${run.base}/runs/${id}#f${seq}`);
  const color = (text: string) =>
    run.frames.getByText(text, { exact: true }).first().evaluate((element) => getComputedStyle(element).color);
  await expect(run.frame(seq)).toBeInViewport();
  const red = await color('red 1000');
  expect(await color('red 1001')).toBe(red);
  await page.goto(`${run.base}/runs/${id}`);
  await expect(run.frames.filter({ hasText: 'plain' })).toHaveCount(1);
  expect(await color('plain')).not.toBe(red);
});

test('invisible characters are marked', async ({ server, api, run }) => {
  await server.pipeline({
    name: 'marks',
    phases: { only: `printf 'a\\0b${bidi}c\\177d\\n'\nprintf '::frame {"kind":"finding","path":"x${bidi}.js","message":"m"}\\n'` },
  });
  const id = await server.run('marks');
  await api.reaches(id, 'completed');
  await run.open(id);
  const row = run.frames.filter({ hasText: 'a␀b' });
  await expect(row).toContainText('a␀bU+202Ec␡d');
  await expect(row.getByRole('img', { name: 'U+202E, right-to-left override' })).toHaveCount(1);
  await expect(run.frames.filter({ hasText: 'xU+202E.js' })).toHaveCount(1);
  expect(await run.activity.textContent()).not.toMatch(/[\u0000\u007f\u202e]/);
});

test('patch with text direction characters has a warning', async ({ server, api, run, page }) => {
  const diff = ['--- a/a.js', '+++ b/a.js', '@@ -1 +1 @@', '-var level = 1;', '+var level = "user\u202e\u2066// admin\u2069\u2066";', ''];
  const patch = JSON.stringify({ kind: 'patch', path: 'a.js', diff: diff.join('\n'), added: 1, removed: 1 });
  await server.pipeline({
    name: 'patches',
    phases: { look: `cat <<'END'\n::frame ${patch}\nEND`, apply: 'true' },
    more: 'approval = true',
  });
  const id = await server.run('patches');
  await expect.poll(async () => (await api.run(id)).approval, { message: 'the run asks' }).not.toBeNull();
  await page.goto(`${run.base}/runs/${id}?tab=changes`);
  const card = page.getByTestId('patch');
  await expect(card.getByTestId('direction-warning')).toContainText('U+202E');
  await expect(card.getByRole('img', { name: 'U+2066, left-to-right isolate' })).toHaveCount(2);
  expect(await card.textContent()).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
  await expect(page.getByTestId('approve')).toBeEnabled();
});

test('URLs are links without referrer and opener', async ({ server, api, run }) => {
  const link = (address: string, text: string) => `printf '\\033]8;;${address}\\033\\\\${text}\\033]8;;\\033\\\\\\n'`;
  await server.pipeline({
    name: 'links',
    phases: {
      only: [
        link('https://ci.example/r/12', 'PR 12'),
        link('javascript:alert(1)', 'not a link'),
        'echo see https://plain.example/x.',
      ].join('\n'),
    },
  });
  const id = await server.run('links');
  await api.reaches(id, 'completed');
  await run.open(id);
  const links = run.activity.getByTestId('log-link');
  await expect(links).toHaveCount(2);
  await expect(links.first()).toHaveText('PR 12');
  await expect(links.first()).toHaveAttribute('href', 'https://ci.example/r/12');
  await expect(links.first()).toHaveAttribute('title', 'https://ci.example/r/12');
  await expect(links.last()).toHaveAttribute('href', 'https://plain.example/x');
  for (const place of [0, 1]) {
    await expect(links.nth(place)).toHaveAttribute('rel', /noopener.*noreferrer/);
    await expect(links.nth(place)).toHaveAttribute('referrerpolicy', 'no-referrer');
    await expect(links.nth(place)).toHaveAttribute('target', '_blank');
  }
});
