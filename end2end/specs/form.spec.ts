// The start form: what the server refuses is said at its field, and nothing has started.
import { noteStart } from '../support/project.ts';
import { sameDocument } from '../support/pages.ts';
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

test('a missing and a wrong parameter are said at their fields; corrected, the run starts', async ({
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

  // Then the path is.
  await form.param('word').fill('it is $HOME; `id` "quoted"');
  await form.param('project').fill('');
  await form.submit.click();
  await expect.poll(() => form.message('project')).toMatch(/\w+/);
  await expect.poll(() => form.message('word'), { message: 'the corrected field is quiet' }).toBe('');
  const missing = await form.message('project');

  // The path is outside of --projects, in more than one way.
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

test('a pipeline that is changed on disk is offered as it is now', async ({ server, list }) => {
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
