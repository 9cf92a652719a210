// The start form: errors at their fields, changed pipelines, input that is kept.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { noteStart } from '../support/project.ts';
import { hydrated, sameDocument } from '../support/pages.ts';
import type { PipelineSpec } from '../support/server.ts';
import { expect, test } from '../support/test.ts';

const pipeline: PipelineSpec = {
  name: 'form',
  title: 'Every kind of parameter',
  params: [
    { name: 'project', type: 'path', required: true },
    { name: 'word', type: 'string', required: true },
    { name: 'times', type: 'integer', default: 2 },
    { name: 'colour', type: 'choice', choices: ['red', 'green'], default: 'green' },
    { name: 'loud', type: 'boolean', default: false },
  ],
  phases: {
    only: [
      noteStart,
      'echo "word=$RUNTRAIL_PARAM_WORD times=$RUNTRAIL_PARAM_TIMES colour=$RUNTRAIL_PARAM_COLOUR loud=$RUNTRAIL_PARAM_LOUD"',
    ].join('\n'),
  },
};

test('start form shows errors at their fields, and starts the run once they are fixed', async ({
  server,
  project,
  api,
  list,
  run,
  page,
  complaints,
}) => {
  complaints.expect(/Failed to load resource: the server responded with a status of 4\d\d/);
  await server.pipeline(pipeline);
  await list.open();
  const unchanged = await sameDocument(page);
  const { form } = list;
  await form.choose('form');
  await expect(form.param('project')).toHaveValue(project.path);
  await expect(form.param('times')).toHaveValue('2');
  await expect(form.param('colour')).toHaveValue('green');
  await expect(form.param('loud')).not.toBeChecked();
  expect(await form.message('word')).toBe('');

  // The required word is missing.
  await form.submit.click();
  await expect.poll(() => form.message('word')).toMatch(/\w+/);
  expect(await form.message('project'), 'a field that is right has no message').toBe('');
  expect(page.url()).toBe(`${server.base}/`);

  // Then the path is missing.
  await form.param('word').fill('it is $HOME; `id` "quoted"');
  await form.param('project').fill('');
  await form.submit.click();
  await expect.poll(() => form.message('project')).toMatch(/\w+/);
  await expect.poll(() => form.message('word'), { message: 'the corrected field is quiet' }).toBe('');
  const missing = await form.message('project');

  // Paths outside of --projects.
  for (const outside of ['/etc', `${project.path}/../..`, '/no/such/folder']) {
    await form.param('project').fill(outside);
    await form.submit.click();
    await expect
      .poll(async () => ['', missing].includes(await form.message('project')), { message: `${outside} is refused` })
      .toBe(false);
    await expect(form.param('project'), 'what was typed stays').toHaveValue(outside);
    await expect(form.param('word')).toHaveValue('it is $HOME; `id` "quoted"');
    await form.param('project').fill('');
    await form.submit.click();
    await expect.poll(() => form.message('project'), { message: 'missing again' }).toBe(missing);
  }
  expect(await api.runs(), 'nothing was started').toEqual([]);
  await unchanged();

  await form.param('project').fill(project.path);
  await form.param('times').fill('7');
  await form.param('colour').selectOption('red');
  await form.param('loud').check();
  const id = await form.start();
  await run.isAt('completed', 1);
  expect((await api.run(id)).params).toEqual({
    project: project.path,
    word: 'it is $HOME; `id` "quoted"',
    times: 7,
    colour: 'red',
    loud: true,
  });
  await expect(
    run.frames.filter({ hasText: 'word=it is $HOME; `id` "quoted" times=7 colour=red loud=true' }),
  ).toHaveCount(1);
  expect(await api.runs()).toHaveLength(1);
  expect(project.lines('starts')).toEqual(['1 only']);
});

test('start form offers a pipeline as it is on disk', async ({ server, list }) => {
  await server.pipeline({ name: 'changes', phases: { only: 'true' } });
  await server.pipeline({ name: 'stays', phases: { only: 'true' } });
  await list.open();
  await list.form.choose('changes');
  await expect(list.form.param('project')).toBeVisible();
  await expect(list.form.param('later')).toHaveCount(0);
  await server.pipeline({
    name: 'changes',
    params: [
      { name: 'project', type: 'path', required: true },
      { name: 'later', type: 'string' },
    ],
    phases: { only: 'true' },
  });
  await expect(async () => {
    await list.open();
    await list.form.choose('changes');
    await expect(list.form.param('later')).toBeVisible({ timeout: 1_000 });
  }).toPass({ timeout: 15_000 });
});

test('start form does not carry input over to another pipeline', async ({ server, project, list, page }) => {
  const path = { name: 'project', type: 'path', required: true } as const;
  await server.pipeline({
    name: 'one',
    params: [path, { name: 'secret', type: 'string' }, { name: 'sure', type: 'boolean' }],
    phases: { only: 'true' },
  });
  const two = {
    name: 'two',
    params: [path, { name: 'branch', type: 'string', default: 'main' }, { name: 'force', type: 'boolean', default: false }],
    phases: { only: 'true' },
  } satisfies PipelineSpec;
  await server.pipeline(two);
  await list.open();
  const { form } = list;
  await form.choose('one');
  await form.param('project').fill('/somewhere/else');
  await form.param('secret').fill('typed for one');
  await form.param('sure').check();
  await form.choose('two');
  await expect(form.param('project')).toHaveValue(project.path);
  await expect(form.param('branch')).toHaveValue('main');
  await expect(form.param('force')).not.toBeChecked();

  // Input stays when the pipelines are loaded again, as long as its parameter exists.
  await form.param('branch').fill('mine');
  await form.param('force').check();
  const lookAgain = () => page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await server.pipeline({ ...two, head: 'description = "What two is for."', params: [...two.params, { name: 'later', type: 'string' }] });
  await expect(async () => {
    await lookAgain();
    await expect(form.param('later')).toBeVisible({ timeout: 500 });
  }).toPass({ timeout: 15_000 });
  await expect(page.getByText('What two is for.')).toBeVisible();
  await expect(form.param('branch')).toHaveValue('mine');
  await expect(form.param('force')).toBeChecked();
});

test('start form keeps input from before hydration', async ({ server, list, page }) => {
  await server.pipeline(pipeline);
  let letThrough = () => {};
  const held = new Promise<void>((done) => (letThrough = done));
  await page.route(/\.wasm$/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${server.base}/?pipeline=form`, { waitUntil: 'commit' });
  await list.form.param('word').fill('typed early');
  await list.form.param('loud').check();
  letThrough();
  await hydrated(page);
  await expect(list.form.param('word')).toHaveValue('typed early');
  await expect(list.form.param('loud')).toBeChecked();
});

test('start button stays in reach beside a long sidebar', async ({ server, list, page }) => {
  const params = Array.from({ length: 14 }, (_, at) => ({ name: `field_${String.fromCharCode(97 + at)}`, type: 'string' as const }));
  await server.pipeline({
    name: 'much',
    params,
    phases: { only: 'true' },
    more: [1, 2, 3, 4].map((hour) => `[[schedules]]\nname = "at ${hour}"\ncron = "0 ${hour} * * *"\n`).join('\n'),
  });
  for (const name of ['bad', 'worse', 'worst']) writeFileSync(join(server.root, 'pipelines', `${name}.toml`), 'name = [\n');
  await expect(async () => {
    await list.open();
    await expect(page.getByText('worst.toml')).toBeAttached({ timeout: 1_000 });
  }).toPass({ timeout: 15_000 });
  await list.form.choose('much');
  await expect(list.form.submit).toBeInViewport({ ratio: 1 });
  const last = list.form.param('field_n');
  await last.focus();
  const [field, button] = [(await last.boundingBox())!, (await list.form.submit.boundingBox())!];
  expect(field.y + field.height, 'the button does not lie upon the field').toBeLessThanOrEqual(button.y);
  await page.getByText('worst.toml').scrollIntoViewIfNeeded();
  await expect(page.getByText('worst.toml')).toBeInViewport({ ratio: 1 });
  await page.getByTestId('upcoming').getByTestId('schedule').last().scrollIntoViewIfNeeded();
  await expect(page.getByTestId('upcoming').getByTestId('schedule').last()).toBeInViewport({ ratio: 1 });
});
