// 3. Without the stream the page polls and says so; when the stream returns, nothing is shown twice.
import { print, waitFor } from '../support/project.ts';
import { RunPage, sameDocument } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const faultModes = [
  { mode: 'refuse', what: 'answered with 503' },
  { mode: 'drop', what: 'dropped' },
] as const;

for (const { mode, what } of faultModes) {
  test(`stream that is ${what} falls back to polling and recovers`, async ({
    server,
    project,
    api,
    faults,
    page,
    complaints,
  }) => {
    complaints.expectNetworkErrors();
    if (mode === 'refuse') {
      complaints.expect(/status of 503 .*\/events/);
      complaints.expect(/EventSource's response .*\/events/);
    }
    await server.pipeline({
      name: 'talk',
      phases: {
        talk: [
          print('live', 1, 20),
          ...[waitFor('blocked'), print('polled', 1, 50)],
          ...[waitFor('still-blocked'), print('polled again', 1, 50)],
          ...[waitFor('open'), print('live again', 1, 50)],
          waitFor('end'),
        ].join('\n'),
      },
    });
    const id = await server.run('talk');
    await api.printed(id, 'live 20');

    const run = new RunPage(page, faults.base);
    await run.openLive(id);
    const unchanged = await sameDocument(page);
    await run.holds((await api.run(id)).head);
    expect(faults.openStreams).toBe(1);

    faults.block(mode);
    await run.says('polling');
    project.release('blocked');
    await api.printed(id, 'polled 50');
    await run.holds((await api.run(id)).head);
    expect(faults.openStreams, 'the frames did not arrive by a stream').toBe(0);

    // The page retries the stream without success, and keeps polling.
    const refused = faults.streamsRefused.length;
    await expect.poll(() => faults.streamsRefused.length).toBeGreaterThan(refused);
    await run.says('polling');
    project.release('still-blocked');
    await api.printed(id, 'polled again 50');
    await run.holds((await api.run(id)).head);
    expect(faults.openStreams).toBe(0);

    faults.unblock();
    await expect(run.connection).toHaveAttribute('data-state', 'live', { timeout: 40_000 });
    await expect.poll(() => faults.openStreams, { message: 'one stream, not one per retry' }).toBe(1);
    project.release('open');
    await api.printed(id, 'live again 50');
    await run.holds((await api.run(id)).head);
    await run.says('live');

    project.release('end');
    await run.showsAllOnce(api, id);
    await unchanged();
    await expect.poll(() => faults.openStreams).toBe(0);
  });
}

test('stream closes when the page is left', async ({ server, project, api, faults, page }) => {
  await server.pipeline({ name: 'wait', phases: { wait: `echo here\n${waitFor('end')}` } });
  const id = await server.run('wait');
  await api.printed(id, 'here');
  const run = new RunPage(page, faults.base);
  await run.open(id);
  await run.says('live');
  // Only the stream of this run: the list may have its own.
  const ofThisRun = faults.streamsOf(id);
  expect(ofThisRun()).toBe(1);
  await run.leaveForList();
  await expect.poll(ofThisRun).toBe(0);
  project.release('end');
  await api.reaches(id, 'completed');
});
