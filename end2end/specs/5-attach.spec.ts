// 5. Equal lines are all shown; a line committed while a page attaches is shown once. The proxy forces the timing.
import { waitFor } from '../support/project.ts';
import { expectShown, RunPage } from '../support/pages.ts';
import { lineOf } from '../support/api.ts';
import { expect, test } from '../support/test.ts';

test('equal consecutive lines are both shown', async ({ server, project, api, run, page }) => {
  await server.pipeline({
    name: 'equal',
    phases: { equal: `echo ready\n${waitFor('go')}\necho the same line\necho the same line\n${waitFor('end')}` },
  });
  const id = await server.run('equal');
  await api.printed(id, 'ready');
  await run.openLive(id);
  project.release('go');
  const seq = await api.printed(id, 'the same line');
  await expect.poll(async () => (await api.frames(id)).filter((frame) => lineOf(frame) === 'the same line').length).toBe(2);
  await expect(run.frames.filter({ hasText: 'the same line' })).toHaveCount(2);
  await expect(run.frame(seq)).toContainText('the same line');
  await expect(run.frame(seq + 1)).toContainText('the same line');

  // The same when the server renders them.
  await page.reload();
  await expect(run.frames.filter({ hasText: 'the same line' })).toHaveCount(2);
  project.release('end');
  await run.showsAllOnce(api, id);
});

const moments = [
  { what: 'request', when: 'after the page was made and before the server sees its request for the stream' },
  { what: 'answer', when: 'after the server has answered that request and before the page sees the answer' },
] as const;

for (const { what, when } of moments) {
  test(`line committed ${when} is shown once`, async ({ server, project, api, faults, page }) => {
    await server.pipeline({
      name: 'attach',
      phases: {
        attach: `echo before\n${waitFor('between')}\necho in between\n${waitFor('after')}\necho after it\n${waitFor('end')}`,
      },
    });
    const id = await server.run('attach');
    await api.printed(id, 'before');

    const held = faults.holdStreams(what);
    const run = new RunPage(page, faults.base);
    await run.watchForTwins();
    await run.open(id);
    await expect.poll(() => held.waiting, { message: `the ${what} is held` }).toBeGreaterThan(0);
    if (what === 'answer') {
      // The server has sent its first event, and the line is not committed yet.
      await expect.poll(() => held.answered).toContain('event: ready');
      expect(held.answered).not.toContain('in between');
    }
    await expect(run.frames.filter({ hasText: 'before' })).toHaveCount(1);
    expect((await api.frames(id)).filter((frame) => lineOf(frame) === 'in between')).toEqual([]);

    project.release('between');
    const seq = await api.printed(id, 'in between');
    if (what === 'answer') await expect.poll(() => held.answered).toContain('in between');
    held.release();

    await expect(run.frame(seq)).toContainText('in between');
    await expect(run.frames.filter({ hasText: 'in between' })).toHaveCount(1);
    await run.says('live');
    project.release('after');
    await api.printed(id, 'after it');
    await expect(run.frames.filter({ hasText: 'after it' })).toHaveCount(1);

    project.release('end');
    await run.showsAllOnce(api, id);
  });
}

test('stream with repeated and lost frames shows each frame once', async ({
  server,
  project,
  api,
  faults,
  page,
}) => {
  await server.pipeline({
    name: 'noise',
    phases: {
      noise: [
        'echo ready',
        ...[waitFor('repeat'), 'echo repeated 1', 'echo repeated 2', 'echo repeated 2'],
        ...[waitFor('lose'), 'echo lost on the way'],
        ...[waitFor('find'), 'echo not lost'],
        waitFor('end'),
      ].join('\n'),
    },
  });
  const id = await server.run('noise');
  const ready = await api.printed(id, 'ready');
  const run = new RunPage(page, faults.base);
  await run.openLive(id);
  await run.holds(ready);

  // Each event is sent twice, with an older frame.
  const old = JSON.stringify((await api.frames(id))[ready - 1]);
  faults.tamper((event) => [event, event, `id: ${ready}\ndata: ${old}\n\n`]);
  project.release('repeat');
  const repeated = await api.printed(id, 'repeated 2');
  await expect.poll(async () => (await api.run(id)).head).toBe(repeated + 1);
  await run.holds(repeated + 1);
  expect(await run.count('dropped'), 'repeats that were thrown away').toBeGreaterThan(0);
  await expect(run.frames.filter({ hasText: 'repeated 1' })).toHaveCount(1);
  await expect(run.frames.filter({ hasText: 'repeated 2' })).toHaveCount(2);

  // A lost frame is fetched when the next one reveals the gap.
  let lost = 0;
  faults.tamper((event) => {
    if (!event.includes('lost on the way')) return [event];
    lost += 1;
    return lost === 1 ? [] : [event];
  });
  project.release('lose');
  await api.printed(id, 'lost on the way');
  await expect.poll(() => lost).toBe(1);
  project.release('find');
  await api.printed(id, 'not lost');
  await expect(run.frames.filter({ hasText: 'not lost' })).toHaveCount(1);
  await expect(run.frames.filter({ hasText: 'lost on the way' })).toHaveCount(1);

  faults.tamper((event) => [event]);
  project.release('end');
  await run.showsAllOnce(api, id);
});

test('stream cut repeatedly between lines shows each line once', async ({
  server,
  project,
  api,
  faults,
  page,
  complaints,
}) => {
  complaints.expectNetworkErrors();
  const steps = 6;
  const commands = Array.from({ length: steps }, (_, step) => `${waitFor(`step-${step}`)}\necho step ${step} of it\necho equal`);
  await server.pipeline({ name: 'cut', phases: { cut: `echo ready\n${commands.join('\n')}\n${waitFor('end')}` } });
  const id = await server.run('cut');
  await api.printed(id, 'ready');
  const run = new RunPage(page, faults.base);
  await run.watchForTwins();
  await run.open(id);
  for (let step = 0; step < steps; step += 1) {
    await expect(run.connection).toHaveAttribute('data-state', 'live', { timeout: 40_000 });
    await expect.poll(() => faults.openStreams).toBe(1);
    // Half of the lines are released just before the cut, half of them just after it.
    if (step % 2 === 0) project.release(`step-${step}`);
    faults.cut();
    if (step % 2 === 1) project.release(`step-${step}`);
    await api.printed(id, `step ${step} of it`);
  }
  project.release('end');
  await api.reaches(id, 'completed');
  await run.isAt('completed', 1);
  const journal = await api.frames(id);
  await run.holds(journal.length);
  expectShown(await run.collect(), journal);
  await run.sawNoTwins();
});
