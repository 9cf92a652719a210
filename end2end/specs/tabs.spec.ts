// The tabs of a browser share one connection, whichever tabs open, close, freeze or crash.
import { blocks, print, waitFor } from '../support/project.ts';
import { ListPage, RunPage } from '../support/pages.ts';
import { freeze, leaderOf, openTab, openTabs, roleOf, streamsAt, thaw } from '../support/tabs.ts';
import { expect, test } from '../support/test.ts';

test.describe('many tabs', () => {
  test.use({ serverOptions: { workers: 20 } });
  test.setTimeout(360_000);

  test('twenty tabs on one run share one stream and all respond', async ({
    server,
    project,
    api,
    context,
  }) => {
    const id = await server.talk('first', 'second', 'end');
    const tabs = await openTabs(20, context, server.base, id);
    await leaderOf(tabs);
    await expect.poll(() => streamsAt(server.base)).toBe(1);

    project.release('first');
    await api.printed(id, 'first 10');
    const { head } = await api.run(id);
    for (const tab of tabs) await tab.holds(head);

    // Each tab gets responses; a click in the last one cancels the run.
    for (const tab of tabs) {
      const asked = tab.page.evaluate((run) => fetch(`/api/v1/runs/${run}`).then((answer) => answer.status), id);
      expect(await asked).toBe(200);
    }
    await tabs[19]!.cancel.click();
    await api.reaches(id, 'cancelled');
    const journal = await api.frames(id);
    for (const tab of tabs) {
      await tab.isAt('cancelled', 1);
      await tab.says('ended');
      await tab.holds(journal.length);
    }
    await expect.poll(() => streamsAt(server.base)).toBe(0);

    // A re-run from one tab is followed by all, over one stream.
    project.release('second');
    project.release('end');
    await tabs[7]!.rerun.click();
    await api.reaches(id, 'completed');
    const { length } = await api.frames(id);
    for (const tab of tabs) {
      await tab.isAt('completed', 2);
      await tab.holds(length);
    }
  });

  test('twenty tabs on twenty runs and the list share one stream', async ({
    server,
    project,
    api,
    context,
    list,
  }) => {
    await server.pipeline({ name: 'talk', phases: { talk: blocks('first', 'end') } });
    await list.open();
    const ids: string[] = [];
    const tabs: RunPage[] = [];
    for (let count = 0; count < 20; count += 1) {
      ids.push(await server.run('talk'));
      tabs.push(await openTab(context, server.base, ids[count]!));
    }
    for (const tab of tabs) await tab.says('live');
    await expect(list.page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
    await expect.poll(() => streamsAt(server.base), { message: 'one stream for all' }).toBe(1);

    project.release('first');
    for (const [index, id] of ids.entries()) {
      await api.printed(id, 'first 10');
      await tabs[index]!.holds((await api.run(id)).head);
      await tabs[index]!.says('live');
    }
    await expect.poll(() => streamsAt(server.base)).toBe(1);
    project.release('end');
    for (const [index, id] of ids.entries()) {
      await api.reaches(id, 'completed');
      await tabs[index]!.isAt('completed', 1);
      await tabs[index]!.holds((await api.run(id)).head);
      await list.shows(id, 'completed');
    }
    await expect.poll(() => streamsAt(server.base), { message: 'the list is still told' }).toBe(1);
  });
});

test('list receives changes without requests', async ({ server, project, api, list, page }) => {
  await server.pipeline({ name: 'talk', phases: { talk: blocks('end') } });
  await list.open();
  await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
  const asked: string[] = [];
  page.on('request', (request) => {
    // The queue is loaded by another request, when the run leaves it.
    if (request.url().includes('/fn/list_runs')) asked.push(request.url());
  });
  const id = await server.run('talk');
  await list.shows(id, 'running');
  asked.length = 0;
  project.release('end');
  await api.reaches(id, 'completed');
  await list.shows(id, 'completed');
  expect(asked, 'a run that is shown is told, not asked for').toEqual([]);
});

test('leader that is closed is replaced within a second, without a gap', async ({ server, project, api, context }) => {
  const id = await server.talk('first', 'second', 'third', 'end');
  let tabs = await openTabs(4, context, server.base, id);
  const took: number[] = [];
  for (const name of ['first', 'second', 'third']) {
    const leader = await leaderOf(tabs);
    tabs = tabs.filter((tab) => tab !== leader);
    await leader.page.close();
    const closed = Date.now();
    project.release(name);
    await leaderOf(tabs);
    await expect.poll(() => streamsAt(server.base), { intervals: [20] }).toBe(1);
    took.push(Date.now() - closed);
    await api.printed(id, `${name} 10`);
    for (const tab of tabs) {
      await tab.holds((await api.run(id)).head);
      await tab.says('live');
    }
  }
  expect(await roleOf(tabs[0]!)).toBe('leader');
  // The machine may stall, but not each time.
  expect(Math.min(...took), `milliseconds until another one led: ${took.join(', ')}`).toBeLessThan(1000);
  project.release('end');
  await api.reaches(id, 'completed');
  await tabs[0]!.showsAll(await api.frames(id));
});

test('leader that crashes is replaced', async ({ server, project, api, context, complaints }) => {
  complaints.expectNetworkErrors();
  const id = await server.talk('first', 'end');
  const tabs = await openTabs(3, context, server.base, id);
  const leader = await leaderOf(tabs);
  const rest = tabs.filter((tab) => tab !== leader);
  const devtools = await context.newCDPSession(leader.page);
  const crashed = leader.page.waitForEvent('crash');
  devtools.send('Page.crash').catch(() => {});
  await crashed;
  await leaderOf(rest);
  project.release('first');
  await api.printed(id, 'first 10');
  for (const tab of rest) await tab.holds((await api.run(id)).head);
  project.release('end');
  await api.reaches(id, 'completed');
  for (const tab of rest) await tab.isAt('completed', 1);
});

test.describe('with a long heartbeat', () => {
  // So long that no heartbeat repairs what a frozen tab missed.
  test.use({ serverOptions: { heartbeat: '60s' } });

  test('leader that freezes is replaced, and follows when it wakes', async ({
    server,
    project,
    api,
    context,
  }) => {
    const id = await server.talk('first', 'second', 'third', 'end');
    const tabs = await openTabs(3, context, server.base, id);
    const leader = await leaderOf(tabs);
    const rest = tabs.filter((tab) => tab !== leader);

    const frozen = await freeze(leader);
    project.release('first');
    await api.printed(id, 'first 10');
    const next = await leaderOf(rest);
    for (const tab of rest) {
      await tab.holds((await api.run(id)).head);
      await tab.says('live');
    }

    await thaw(frozen);
    await expect(leader.connection, 'the former leader follows').toHaveAttribute('data-role', 'follower');
    await leader.says('live');
    await leader.holds((await api.run(id)).head);
    expect(await leaderOf(tabs), 'and does not take the lead').toBe(next);
    await expect.poll(() => streamsAt(server.base)).toBe(1);
    project.release('second');
    await api.printed(id, 'second 10');
    for (const tab of tabs) await tab.holds((await api.run(id)).head);

    // A follower that freezes does not affect others, and catches up.
    const asleep = await freeze(leader);
    project.release('third');
    await api.printed(id, 'third 10');
    for (const tab of rest) await tab.holds((await api.run(id)).head);
    await thaw(asleep);
    await leader.holds((await api.run(id)).head);
    expect(await leaderOf(tabs)).toBe(next);
    project.release('end');
    await api.reaches(id, 'completed');
    const journal = await api.frames(id);
    for (const tab of tabs) await tab.showsAll(journal);
  });
});

for (const missing of ['locks', 'channel'] as const) {
  test(`tabs work alone without the browser's ${missing}`, async ({ server, project, api, context }) => {
    await context.addInitScript((missing) => {
      if (missing === 'locks') Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
      else Object.defineProperty(window, 'BroadcastChannel', { value: undefined });
    }, missing);
    const id = await server.talk('end');
    const tabs = [await openTab(context, server.base, id), await openTab(context, server.base, id)];
    for (const tab of tabs) {
      await tab.says('live');
      expect(await roleOf(tab)).toBe('solo');
    }
    await expect.poll(() => streamsAt(server.base)).toBe(2);
    project.release('end');
    await api.reaches(id, 'completed');
    for (const tab of tabs) await tab.showsAll(await api.frames(id));
  });
}

test('follower opened late has the past and then follows', async ({ server, project, api, context }) => {
  await server.pipeline({
    name: 'long',
    phases: { talk: [print('past', 1, 3000), waitFor('late'), print('late', 1, 3000), waitFor('end')].join('\n') },
  });
  const id = await server.run('long');
  await api.printed(id, 'past 3000');
  const first = await openTab(context, server.base, id);
  await first.says('live');
  expect(await roleOf(first)).toBe('leader');
  // Its page is rendered before the flood and hydrated after it.
  const late = new RunPage(await context.newPage(), server.base);
  let hydrate = () => {};
  const held = new Promise<void>((go) => (hydrate = go));
  await late.page.route(/\/pkg\/.*\.js/, async (route) => {
    await held;
    await route.continue();
  });
  await late.page.goto(`${server.base}/runs/${id}`, { waitUntil: 'commit' });
  await expect(late.status).toBeVisible();
  project.release('late');
  await api.printed(id, 'late 3000');
  const { head } = await api.run(id);
  await first.holds(head);
  hydrate();
  await late.holds(head);
  await late.says('live');
  expect(await roleOf(late)).toBe('follower');
  project.release('end');
  await api.reaches(id, 'completed');
  await late.holds((await api.run(id)).head);
});

test.describe('with a short heartbeat', () => {
  // A stream may then be silent for 3.75 s before the page reconnects.
  test.use({ serverOptions: { heartbeat: '1500ms' } });

  test('quiet run and list stay live beside a run that prints without pause', async ({
    server,
    project,
    api,
    context,
    list,
  }) => {
    await server.pipeline({ name: 'quiet', phases: { talk: blocks('end') } });
    const busy = `while [ ! -e "$RUNTRAIL_PARAM_PROJECT/stop" ]; do date +%N; sleep 0.02; done`;
    await server.pipeline({ name: 'busy', phases: { talk: busy } });
    const quiet = await server.run('quiet');
    const loud = await server.run('busy');
    await api.reaches(loud, 'running');
    await api.reaches(quiet, 'running');
    await list.open();
    const tabs = [await openTab(context, server.base, quiet), await openTab(context, server.base, loud)];
    const pages = [list.page, ...tabs.map((tab) => tab.page)];
    for (const page of pages) await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
    await expect.poll(() => streamsAt(server.base)).toBe(1);
    for (const page of pages) {
      await page.getByTestId('connection').evaluate((chip) => {
        const states: string[] = [];
        Object.assign(window, { states });
        new MutationObserver(() => states.push(chip.getAttribute('data-state') ?? '')).observe(chip, {
          attributeFilter: ['data-state'],
        });
      });
    }
    // At most fifty lines a second: three times as long as the limit for silence.
    await expect.poll(async () => (await api.run(loud)).head, { timeout: 60_000 }).toBeGreaterThan(600);
    for (const page of pages) {
      expect(await page.evaluate(() => (window as unknown as { states: string[] }).states)).toEqual([]);
    }
    project.release('stop');
    project.release('end');
    await api.reaches(quiet, 'completed');
    await api.reaches(loud, 'completed');
    await tabs[0]!.holds((await api.run(quiet)).head);
    await tabs[1]!.holds((await api.run(loud)).head);
  });
});

test('tabs leave no stream behind when they navigate', async ({ server, project, api, context, list }) => {
  const id = await server.talk('end');
  await list.open();
  const other = await openTab(context, server.base, id);
  await other.says('live');
  for (let round = 0; round < 5; round += 1) {
    await list.follow(id);
    const run = new RunPage(list.page, server.base);
    await run.says('live');
    await run.leaveForList();
    await expect(new ListPage(list.page, server.base).row(id)).toBeVisible();
  }
  await expect.poll(() => streamsAt(server.base)).toBe(1);
  project.release('end');
  await api.reaches(id, 'completed');
  await other.isAt('completed', 1);
  await list.shows(id, 'completed');
  await other.page.close();
  await list.page.close();
  await expect.poll(() => streamsAt(server.base)).toBe(0);
});

test.describe('with a token', () => {
  const token = 'correct horse battery staple';
  test.use({ serverOptions: { token } });

  test('expired session leads every tab to the login form and back', async ({
    server,
    project,
    api,
    faults,
    context,
    complaints,
  }) => {
    complaints.expectNetworkErrors();
    complaints.expect(/status of 401/);
    const id = await server.talk('meanwhile', 'end');
    const logIn = async (tab: RunPage) => {
      await tab.page.getByLabel('Token').fill(token);
      await tab.page.getByRole('button', { name: 'Log in' }).click();
      await tab.says('live');
    };
    const first = new RunPage(await context.newPage(), faults.base);
    await first.page.goto(`${faults.base}/runs/${id}`);
    await logIn(first);
    const tabs = [first, await openTab(context, faults.base, id), await openTab(context, faults.base, id)];
    for (const tab of tabs) await tab.says('live');

    await context.clearCookies();
    faults.cut();
    for (const tab of tabs) await tab.page.waitForURL('**/login?**');
    project.release('meanwhile');
    await api.printed(id, 'meanwhile 10');
    await logIn(first);
    // All tabs share the session.
    for (const tab of tabs.slice(1)) await tab.open(id);
    for (const tab of tabs) {
      await tab.says('live');
      await tab.holds((await api.run(id)).head);
    }
    await expect.poll(() => faults.openStreams).toBe(1);
    project.release('end');
    await api.reaches(id, 'completed');
    for (const tab of tabs) await tab.isAt('completed', 1);
  });
});
