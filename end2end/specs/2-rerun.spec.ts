// 2. A re-run is a new attempt of the same run, on the same page, in every tab.
import { noteStart, print, waitFor } from '../support/project.ts';
import { RunPage, sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const pipeline = {
  name: 'again',
  phases: { only: [noteStart, 'echo "attempt $RUNTRAIL_ATTEMPT begins"', print('line', 1, 30)].join('\n') },
};

test.describe('with one worker', () => {
  test.use({ serverOptions: { workers: 1 } });

  test('re-run is queued, then runs as attempt 2 on the same page, below the first attempt', async ({
    server,
    project,
    api,
    run,
    page,
    context,
  }) => {
    await server.pipeline(pipeline);
    await server.pipeline({ name: 'blocker', phases: { block: waitFor('unblock') } });
    const id = await server.run('again');
    await api.reaches(id, 'completed');
    const before = await api.frames(id);

    // The only worker is busy, so that the new attempt stays queued.
    const blocker = await server.run('blocker');
    await api.reaches(blocker, 'running');

    const tabs = [run, new RunPage(await context.newPage(), server.base), new RunPage(await context.newPage(), server.base)];
    const unchanged = [];
    for (const tab of tabs) {
      await tab.open(id);
      await tab.isAt('completed', 1);
      await tab.holds(before.length);
      unchanged.push(await sameDocument(tab.page));
    }

    await run.rerun.click();
    for (const tab of tabs) await tab.isAt('pending', 2);
    expect(page.url()).toBe(`${server.base}/runs/${id}`);
    expect((await api.run(id)).status).toBe('pending');
    expect(await run.count('frames')).toBeGreaterThan(before.length);
    for (const tab of tabs) expect(await tab.offers(tab.rerun), 're-run is not offered while it waits').toBe(false);

    project.release('unblock');
    await api.reaches(blocker, 'completed');
    await api.reaches(id, 'completed');
    const journal = await api.frames(id);
    expect(journal.slice(0, before.length), 'nothing of the first attempt changed').toEqual(before);
    expect(journal.at(-1)!.attempt).toBe(2);
    for (const tab of tabs) {
      await tab.isAt('completed', 2);
      await tab.showsAll(journal);
      await expect(tab.frames.filter({ hasText: 'attempt 2 begins' })).toHaveCount(1);
    }
    for (const check of unchanged) await check();
    expect(project.lines('starts')).toEqual(['1 only', '2 only']);
  });
});

test('re-run clicked in two tabs at once starts one attempt, which both tabs follow', async ({
  server,
  project,
  api,
  faults,
  context,
  complaints,
}) => {
  await server.pipeline(pipeline);
  const id = await server.run('again');
  await api.reaches(id, 'completed');

  const tabs = [];
  for (let more = 0; more < 2; more += 1) {
    const tab = new RunPage(await context.newPage(), faults.base);
    await tab.open(id);
    await tab.isAt('completed', 1);
    tabs.push(tab);
  }
  const watcher = new RunPage(await context.newPage(), faults.base);
  await watcher.open(id);

  // Both requests are sent before the server receives either.
  const presses = faults.hold('request', ({ method }) => method === 'POST');
  for (const tab of tabs) await tab.rerun.click();
  await expect.poll(() => presses.waiting).toBe(2);
  // The second request gets a 409.
  complaints.expect(/Failed to load resource: the server responded with a status of 409/);
  presses.release();

  await expect.poll(async () => (await api.run(id)).attempt).toBe(2);
  await api.reaches(id, 'completed');
  const journal = await api.frames(id);
  for (const tab of [...tabs, watcher]) {
    await tab.isAt('completed', 2);
    await tab.showsAll(journal);
  }
  const again = journal.filter((frame) => frame.kind === 'status' && frame.data['to'] === 'pending' && frame.attempt > 1);
  expect(again, 'the journal has one re-run').toHaveLength(1);
  expect(project.lines('starts')).toEqual(['1 only', '2 only']);
});

test('resume starts from the phase that failed', async ({ server, project, api, run, page }) => {
  const broken = `${noteStart}\n[ -e "$RUNTRAIL_PARAM_PROJECT/mended" ]`;
  await server.pipeline({ name: 'parts', phases: { first: `${noteStart}\necho ::output made=it`, second: broken, third: noteStart } });
  const id = await server.run('parts');
  await api.reaches(id, 'failed');
  await run.open(id);
  const resume = page.getByTestId('rerun-failed');
  await expect(resume).toHaveText('Resume from second');
  project.release('mended');
  await resume.click();
  await run.isAt('completed', 2);
  for (const phase of ['first', 'second', 'third']) {
    await expect(run.phase(phase)).toHaveAttribute('data-state', 'completed');
  }
  expect(project.lines('starts')).toEqual(['1 first', '1 second', '2 second', '2 third']);
  await expect(resume).toBeHidden();
  // The same after a reload.
  await page.reload();
  await expect(run.phase('first')).toHaveAttribute('data-state', 'completed');
  await run.isAt('completed', 2);
});
