// 1. A run starts once, however often its page is left, reloaded and opened.
import { processesWith } from '../support/processes.ts';
import { noteStart, print, waitFor } from '../support/project.ts';
import { RunPage } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

test('run starts once however often its page is left, reloaded and opened', async ({
  server,
  project,
  api,
  list,
  run,
  page,
  context,
}) => {
  await server.pipeline({
    name: 'walk',
    phases: {
      first: [
        noteStart,
        print('first', 1, 40),
        ...[waitFor('away'), print('while away', 1, 40)],
        ...[waitFor('reload'), print('while reloading', 1, 40)],
      ].join('\n'),
      second: [noteStart, waitFor('tabs'), print('with four tabs', 1, 200), waitFor('end'), 'echo the end'].join('\n'),
    },
  });

  await list.open();
  await list.form.choose('walk');
  await expect(list.form.param('project')).toHaveValue(project.path);
  const id = await list.form.start();
  await run.isAt('running', 1);
  await api.printed(id, 'first 40');
  await run.holds((await api.run(id)).head);
  await run.says('live');
  await expect(run.phase('first')).toHaveAttribute('data-state', 'started');
  await expect(run.phase('second')).toHaveAttribute('data-state', 'pending');

  // One process tree in one process group, besides its supervisor.
  const groups = () => {
    const tree = processesWith('RUNTRAIL_RUN_ID', id).filter((each) => !/^\S+ supervise /.test(each.command));
    return new Set(tree.map((each) => each.group));
  };
  expect(groups().size).toBe(1);
  const [group] = groups();

  // On the list, while the run continues.
  await run.leaveForList();
  await list.shows(id, 'running');
  project.release('away');
  await api.printed(id, 'while away 40');

  // Back on the run page.
  await list.follow(id);
  await run.holds((await api.run(id)).head);
  await run.isAt('running', 1);
  expect([...groups()]).toEqual([group]);

  // A reload without cache while the run prints.
  const devtools = await context.newCDPSession(page);
  const loaded = page.waitForEvent('load');
  project.release('reload');
  await devtools.send('Page.reload', { ignoreCache: true });
  await loaded;
  await api.printed(id, 'while reloading 40');
  await expect(run.phase('second')).toHaveAttribute('data-state', 'started');

  // Three more tabs.
  const tabs = [run];
  for (let more = 0; more < 3; more += 1) {
    const tab = new RunPage(await context.newPage(), server.base);
    await tab.open(id);
    tabs.push(tab);
  }
  for (const tab of tabs) await tab.says('live');
  expect(groups().size, 'one process tree').toBe(1);
  project.release('tabs');
  await api.printed(id, 'with four tabs 200');
  const { head } = await api.run(id);
  for (const tab of tabs) await tab.holds(head);

  project.release('end');
  const finished = await api.reaches(id, 'completed');
  expect(finished.attempt).toBe(1);
  expect(project.lines('starts'), 'each phase was started once').toEqual(['1 first', '1 second']);

  const journal = await api.frames(id);
  const shown = [];
  for (const tab of tabs) {
    await tab.isAt('completed', 1);
    await tab.says('ended');
    await expect(tab.phase('first')).toHaveAttribute('data-state', 'completed');
    await expect(tab.phase('second')).toHaveAttribute('data-state', 'completed');
    shown.push(await tab.showsAll(journal));
  }
  for (const other of shown.slice(1)) expect([...other]).toEqual([...shown[0]!]);
});
