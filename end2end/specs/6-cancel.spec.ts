// 6. Cancel ends the whole process group, and the journal records who and when.
import { alive } from '../support/processes.ts';
import { noteStart, waitFor } from '../support/project.ts';
import { ListPage, RunPage, sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

test('cancel ends every process of the phase and records who and when', async ({
  server,
  project,
  api,
  run,
  page,
}) => {
  const here = '"$RUNTRAIL_PARAM_PROJECT';
  await server.pipeline({
    name: 'long',
    phases: {
      long: [
        noteStart,
        `echo $$ > ${here}/child.pid"`,
        // A grandchild that ends on SIGTERM, one that ignores it, and a child of the latter.
        `sleep 1000 & echo $! > ${here}/grandchild.pid"`,
        `sh -c 'trap "" TERM; sleep 1000 & echo $! > ${here}/great-grandchild.pid"; echo $$ > ${here}/stubborn.pid"; ${waitFor('never')}' &`,
        'echo ready',
        'wait',
      ].join('\n'),
      never: `${noteStart}\necho not reached`,
    },
  });
  // Another run, which must not be affected.
  await server.pipeline({ name: 'beside', phases: { beside: `echo $$ > ${here}/beside.pid"\n${waitFor('beside')}` } });
  const beside = await server.run('beside');
  const bystander = await project.pid('beside.pid');

  const id = await server.run('long');
  await api.printed(id, 'ready');
  const pids: number[] = [];
  for (const name of ['child.pid', 'grandchild.pid', 'great-grandchild.pid', 'stubborn.pid']) {
    pids.push(await project.pid(name));
  }
  expect(pids.map(alive)).toEqual([true, true, true, true]);

  await run.open(id);
  await run.isAt('running', 1);
  const unchanged = await sameDocument(page);
  const pressed = Date.now();
  await run.cancel.click();

  await run.isAt('cancelled', 1);
  await expect
    .poll(() => pids.map(alive), { message: 'the whole process group is gone', timeout: 2_000 })
    .toEqual([false, false, false, false]);
  const ended = await api.run(id);
  expect(ended.status).toBe('cancelled');
  expect(ended.phase).toBeNull();

  // Who and when: in the journal and on the page.
  const journal = await api.frames(id);
  const last = journal.filter((frame) => frame.kind === 'status').at(-1)!;
  expect(last.data).toMatchObject({ from: 'running', to: 'cancelled' });
  expect(last.data['reason'], 'who').toMatch(/\bby \S+/);
  expect(Date.parse(last.ts), 'when').toBeGreaterThanOrEqual(pressed - 5);
  expect(Date.parse(last.ts), 'when').toBeLessThanOrEqual(Date.now() + 5);
  await expect(run.frame(last.seq)).toContainText(String(last.data['reason']).replace('cancelled ', ''));
  await run.showsAll(journal);

  expect(project.lines('starts'), 'the next phase did not run').toEqual(['1 long']);
  await expect(run.phase('never')).toHaveAttribute('data-state', /pending|skipped/);
  expect(await run.offers(run.cancel), 'a finished run is not cancelled again').toBe(false);
  expect(await run.offers(run.rerun)).toBe(true);
  await expect(api.cancel(id)).rejects.toMatchObject({ status: 409 });
  await unchanged();

  expect(alive(bystander), 'the other run continues').toBe(true);
  project.release('beside');
  await api.reaches(beside, 'completed');
});

test.describe('with a long grace period', () => {
  test.use({ serverOptions: { grace: '10m' } });

  test('cancel shows in every tab when processes will be killed, and kill now works', async ({
    server,
    api,
    run,
    page,
    context,
  }) => {
    await server.pipeline({
      name: 'stubborn',
      phases: { stubborn: "trap '' TERM; echo ready; while :; do sleep 0.1; done" },
    });
    const id = await server.run('stubborn');
    await api.printed(id, 'ready');
    await run.open(id);
    const other = new RunPage(await context.newPage(), server.base);
    await other.open(id);
    const list = new ListPage(await context.newPage(), server.base);
    await list.page.goto(server.base);
    await expect(run.killNow, 'nothing to kill before the cancel').toBeHidden();
    await expect(run.cancelling).toHaveCount(0);

    await run.cancel.click();
    for (const tab of [run, other]) {
      await expect(tab.cancelling).toContainText(/Cancelling, will be killed in \d/);
      await expect(tab.cancel).toBeDisabled();
      await expect(tab.killNow).toBeVisible();
      await tab.isAt('running', 1);
    }
    await expect(list.row(id)).toContainText('Cancelling');
    await page.reload();
    await expect(run.cancelling).toContainText(/Cancelling, will be killed/);
    await expect(run.cancelling).toHaveAttribute('data-kill-at', /^\d{4}-/);
    await expect(run.cancel).toBeDisabled();

    await other.killNow.click();
    for (const tab of [run, other]) {
      await tab.isAt('cancelled', 1);
      await expect(tab.cancelling).toHaveCount(0);
      await expect(tab.killNow).toBeHidden();
    }
    const requests = (await api.frames(id)).filter((frame) => frame.kind === 'cancel');
    expect(requests.map((frame) => frame.data['force'])).toEqual([false, true]);
  });
});

test.describe('with one worker', () => {
  test.use({ serverOptions: { workers: 1 } });

  test('cancel of a queued run keeps it from starting', async ({ server, project, api, run }) => {
    await server.pipeline({ name: 'blocker', phases: { block: waitFor('unblock') } });
    await server.pipeline({ name: 'waits', phases: { waits: noteStart } });
    const blocker = await server.run('blocker');
    await api.reaches(blocker, 'running');
    const id = await server.run('waits');
    await run.open(id);
    await run.isAt('pending', 1);
    await run.cancel.click();
    await run.isAt('cancelled', 1);
    project.release('unblock');
    await api.reaches(blocker, 'completed');
    // The worker is free: the next run is executed, the cancelled one never is.
    const next = await server.run('waits');
    await api.reaches(next, 'completed');
    expect(project.lines('starts')).toHaveLength(1);
    expect((await api.run(id)).status).toBe('cancelled');
  });
});
