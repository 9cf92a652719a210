// The run list is live: new and changed runs show without a reload.
import { waitFor } from '../support/project.ts';
import { ListPage, sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

test('list shows new and changed runs without a reload', async ({
  server,
  project,
  api,
  list,
  page,
  context,
}) => {
  await server.pipeline({ name: 'well', phases: { only: waitFor('well') } });
  await server.pipeline({ name: 'badly', phases: { only: `${waitFor('badly')}\nexit 3` } });
  await list.open();
  await expect(list.rows).toHaveCount(0);
  const second = new ListPage(await context.newPage(), server.base);
  await second.open();
  const unchanged = [await sameDocument(page), await sameDocument(second.page)];

  const well = await server.run('well');
  for (const tab of [list, second]) await tab.shows(well, 'running');
  const badly = await server.run('badly');
  for (const tab of [list, second]) {
    await tab.shows(badly, 'running');
    await tab.shows(well, 'running');
    // Newest first.
    await expect(tab.rows).toHaveCount(2);
    await expect(tab.rows.nth(0)).toHaveAttribute('data-run-id', badly);
    await expect(tab.rows.nth(1)).toHaveAttribute('data-run-id', well);
  }

  project.release('well');
  for (const tab of [list, second]) await tab.shows(well, 'completed');
  await list.shows(badly, 'running');
  project.release('badly');
  for (const tab of [list, second]) await tab.shows(badly, 'failed');
  expect((await api.run(badly)).status).toBe('failed');
  for (const check of unchanged) await check();

  // Back from a run page, the list is up to date.
  await list.follow(well);
  await page.goBack();
  await list.shows(well, 'completed');
  await list.shows(badly, 'failed');
});

test.describe('with one worker', () => {
  test.use({ serverOptions: { workers: 1 } });

  test('runs beyond the number of workers are queued and start in order', async ({ server, project, api, list }) => {
    await server.pipeline({
      name: 'turn',
      params: [
        { name: 'project', type: 'path', required: true },
        { name: 'who', type: 'string', required: true },
      ],
      phases: {
        turn: [
          'echo "$RUNTRAIL_PARAM_WHO" >> "$RUNTRAIL_PARAM_PROJECT/order"',
          'while [ ! -e "$RUNTRAIL_PARAM_PROJECT/go-$RUNTRAIL_PARAM_WHO" ] && [ -d "$RUNTRAIL_PARAM_PROJECT" ]; do sleep 0.05; done',
        ].join('\n'),
      },
    });
    await list.open();
    const ids = [];
    for (const who of ['one', 'two', 'three']) ids.push(await server.run('turn', { who }));
    const [one, two, three] = ids as [string, string, string];
    await list.shows(one, 'running');
    await list.shows(two, 'pending');
    await list.shows(three, 'pending');
    project.release('go-one');
    await list.shows(one, 'completed');
    await list.shows(two, 'running');
    await list.shows(three, 'pending');
    project.release('go-two');
    project.release('go-three');
    await list.shows(three, 'completed');
    expect(project.lines('order')).toEqual(['one', 'two', 'three']);
    await api.reaches(two, 'completed');
  });
});
