// Network trouble and clock jumps: no network, a proxy that cuts or refuses, a clock that jumps.
import { waitFor } from '../support/project.ts';
import { RunPage, sameDocument } from '../support/pages.ts';
import { openTabs } from '../support/tabs.ts';
import { expect, test } from '../support/test.ts';

test('tabs show that they are offline, and catch up when the network returns', async ({
  server,
  project,
  api,
  context,
  complaints,
}) => {
  complaints.expectNetworkErrors();
  const id = await server.talk('before', 'offline', 'end');
  const tabs = await openTabs(2, context, server.base, id);
  project.release('before');
  await api.printed(id, 'before 10');
  for (const tab of tabs) await tab.holds((await api.run(id)).head);

  await context.setOffline(true);
  for (const tab of tabs) await tab.says('offline');
  project.release('offline');
  await api.printed(id, 'offline 10');
  await context.setOffline(false);
  for (const tab of tabs) {
    await tab.says('live');
    await tab.holds((await api.run(id)).head);
  }
  project.release('end');
  await api.reaches(id, 'completed');
  const journal = await api.frames(id);
  for (const tab of tabs) await tab.showsAll(journal);
});

test('page retries while a proxy refuses everything for ten seconds', async ({
  server,
  project,
  api,
  faults,
  page,
  complaints,
}) => {
  complaints.expectNetworkErrors();
  complaints.expect(/status of 503/);
  const id = await server.talk('before', 'away', 'end');
  const run = new RunPage(page, faults.base);
  await run.openLive(id);
  const unchanged = await sameDocument(page);
  project.release('before');
  await api.printed(id, 'before 10');
  await run.holds((await api.run(id)).head);

  faults.goAway();
  await run.says('retrying');
  project.release('away');
  await api.printed(id, 'away 10');
  // Ten seconds are the subject of the test: the delays between retries grow meanwhile.
  await expect
    .poll(() => faults.streamsRefused.at(-1)! - faults.streamsRefused[0]!, {
      message: 'milliseconds of retries',
      timeout: 60_000,
    })
    .toBeGreaterThan(10_000);
  await run.says('retrying');
  faults.unblock();
  // The longest delay between retries is eight seconds.
  await expect(run.connection).toHaveAttribute('data-state', 'live', { timeout: 40_000 });
  await run.holds((await api.run(id)).head);
  project.release('end');
  await run.showsAllOnce(api, id);
  await unchanged();
});

test('page honors Retry-After', async ({ server, project, api, faults, page, complaints }) => {
  complaints.expectNetworkErrors();
  complaints.expect(/status of 429/);
  const id = await server.talk('busy', 'end');
  const run = new RunPage(page, faults.base);
  await run.open(id);
  await run.says('live');
  faults.block('busy');
  await expect.poll(() => faults.streamsRefused.length).toBe(1);
  project.release('busy');
  await api.printed(id, 'busy 10');
  await run.holds((await api.run(id)).head);
  await run.says('polling');
  // Without Retry-After the page would have retried several times in these five seconds.
  await expect.poll(() => faults.streamsRefused.length, { timeout: 60_000 }).toBeGreaterThan(1);
  const [first, second] = faults.streamsRefused;
  expect(second! - first!, 'milliseconds until it tried again').toBeGreaterThanOrEqual(5000);
  faults.unblock();
  await run.says('live');
  project.release('end');
  await api.reaches(id, 'completed');
  await run.showsAll(await api.frames(id));
});

test('page reconnects without loss when a proxy cuts every five seconds', async ({
  server,
  project,
  api,
  faults,
  context,
  complaints,
}) => {
  complaints.expectNetworkErrors();
  const ticks = 'for i in $(seq 170); do echo "tick $i"; sleep 0.1; done';
  await server.pipeline({ name: 'tick', phases: { tick: `${waitFor('go')}\n${ticks}` } });
  const id = await server.run('tick');
  await api.reaches(id, 'running');
  const tabs = await openTabs(2, context, faults.base, id);
  const stop = faults.cutEvery(5000);
  project.release('go');
  await expect.poll(async () => (await api.run(id)).status, { timeout: 60_000 }).toBe('completed');
  stop();
  const journal = await api.frames(id);
  for (const tab of tabs) {
    await tab.says('ended');
    await tab.showsAll(journal);
  }
});

test('clock jumps do not break the stream', async ({ server, project, api, page, run }) => {
  await page.addInitScript(() => {
    const now = Date.now;
    let ahead = 0;
    Date.now = () => now() + ahead;
    Object.assign(window, { jump: (milliseconds: number) => (ahead += milliseconds) });
  });
  const id = await server.talk('first', 'second', 'end');
  await run.open(id);
  await run.says('live');
  const streams: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes('/events')) streams.push(request.url());
  });
  for (const [name, jump] of [
    ['first', 86_400_000],
    ['second', -172_800_000],
  ] as const) {
    await page.evaluate((jump) => (window as unknown as { jump: (by: number) => void }).jump(jump), jump);
    project.release(name);
    await api.printed(id, `${name} 10`);
    await run.holds((await api.run(id)).head);
    await run.says('live');
  }
  expect(streams, 'no stream but the first was needed').toEqual([]);
  project.release('end');
  await api.reaches(id, 'completed');
  await run.showsAll(await api.frames(id));
});

// A tab behind another window may still report that it is visible.
test('page that is visible but not painted keeps up to date', async ({ server, project, api, page, run, list }) => {
  await page.addInitScript(() => {
    window.requestAnimationFrame = () => 1;
  });
  const id = await server.talk('first', 'end');
  await run.open(id);
  await run.says('live');
  project.release('first');
  await api.printed(id, 'first 10');
  await run.holds((await api.run(id)).head);
  project.release('end');
  await api.reaches(id, 'completed');
  await run.isAt('completed', 1);
  await run.says('ended');
  await run.holds((await api.frames(id)).length);
  await list.open();
  await list.shows(id, 'completed');
});
