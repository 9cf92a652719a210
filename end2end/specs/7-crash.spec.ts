// 7. kill -9 of the server during a run: no child survives, nothing shown is lost, and the open page catches up.
import { alive } from '../support/processes.ts';
import { noteStart, waitFor } from '../support/project.ts';
import { plain, sameDocument } from '../support/pages.ts';
import { lineOf } from '../support/api.ts';
import { expect, test } from '../support/test.ts';

test('server crash loses nothing that was shown, interrupts the run and allows a re-run', async ({
  server,
  project,
  api,
  run,
  page,
  complaints,
}) => {
  complaints.expectNetworkErrors();
  const here = '"$RUNTRAIL_PARAM_PROJECT';
  await server.pipeline({
    name: 'crash',
    phases: {
      // Attempt 1 prints endlessly, so that the kill happens while lines are in transit.
      crash: [
        noteStart,
        `if [ "$RUNTRAIL_ATTEMPT" = 1 ]; then`,
        `  echo $$ > ${here}/child.pid"`,
        `  sleep 1000 & echo $! > ${here}/grandchild.pid"`,
        `  sh -c 'trap "" TERM HUP; echo $$ > ${here}/stubborn.pid"; ${waitFor('never')}' &`,
        `  i=0; while [ -d ${here}" ]; do i=$((i+1)); echo "tick $i"; sleep 0.005; done`,
        'fi',
        'echo second time',
      ].join('\n'),
    },
  });
  const id = await server.run('crash');
  const pids: number[] = [];
  for (const name of ['child.pid', 'grandchild.pid', 'stubborn.pid']) pids.push(await project.pid(name));
  await run.open(id);
  await run.says('live');
  const unchanged = await sameDocument(page);
  await expect.poll(() => run.count('last')).toBeGreaterThan(100);

  await server.kill9();
  await expect.poll(() => pids.map(alive), { message: 'no child survives' }).toEqual([false, false, false]);
  // A process may have started another child just before the supervisor killed it.
  await expect.poll(() => server.children()).toEqual([]);
  await expect(run.connection).toHaveAttribute('data-state', /^(retrying|polling|offline|connecting)$/);
  const last = await run.count('last');
  const shown = await run.collect();
  expect([...shown.keys()]).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  expect(await run.status.getAttribute('data-status'), 'the page invents no end').toBe('running');

  await server.restart();
  // Once its lease has expired.
  const interrupted = await api.reaches(id, 'interrupted', 60_000);
  expect(interrupted.attempt).toBe(1);
  const journal = await api.frames(id);
  expect(journal.length, 'the journal has at least what was shown').toBeGreaterThanOrEqual(last);
  for (const [seq, { kind, text }] of shown) {
    const frame = journal[seq - 1]!;
    expect(frame.kind).toBe(kind);
    expect(text).toContain(plain(lineOf(frame) ?? ''));
  }

  // The open page catches up.
  await expect(run.status).toHaveAttribute('data-status', 'interrupted', { timeout: 60_000 });
  await run.says('ended');
  const after = await run.showsAll(journal);
  for (const [seq, frame] of shown) expect(after.get(seq)).toEqual(frame);
  expect(project.lines('starts'), 'the restart started nothing').toEqual(['1 crash']);

  // A re-run works from the same page.
  await run.rerun.click();
  await run.isAt('completed', 2);
  await api.reaches(id, 'completed');
  await run.showsAll(await api.frames(id));
  await expect(run.frames.filter({ hasText: 'second time' })).toHaveCount(1);
  expect(project.lines('starts')).toEqual(['1 crash', '2 crash']);
  await unchanged();
});

test('list catches up after a restart', async ({ server, api, list, page, complaints }) => {
  complaints.expectNetworkErrors();
  await server.pipeline({ name: 'sits', phases: { sits: `echo here\n${waitFor('never')}` } });
  const id = await server.run('sits');
  await api.printed(id, 'here');
  await list.open();
  await list.shows(id, 'running');
  const unchanged = await sameDocument(page);
  await server.kill9();
  await expect.poll(() => server.children()).toEqual([]);
  await server.restart();
  await expect(list.row(id)).toHaveAttribute('data-status', 'interrupted', { timeout: 60_000 });
  await unchanged();
});

test.describe('run with on_interrupt = "resume"', () => {
  // The next server resumes the run at once, however long the lease is.
  test.use({ serverOptions: { lease: '20s' } });

  test('resumes on the open page, which never shows it as ended', async ({ server, project, api, run, page, complaints }) => {
    complaints.expectNetworkErrors();
    await server.pipeline({
      name: 'resumes',
      head: 'on_interrupt = "resume"',
      phases: { make: `${noteStart}; echo made`, hold: `${noteStart}; echo "attempt $RUNTRAIL_ATTEMPT"; ${waitFor('go')}` },
    });
    const id = await server.run('resumes');
    await api.printed(id, 'attempt 1');
    await run.open(id);
    await run.says('live');
    const unchanged = await sameDocument(page);
    const said = await run.connection.evaluate((chip) => {
      const said: (string | null)[] = [];
      new MutationObserver(() => said.push(chip.getAttribute('data-state'))).observe(chip, { attributes: true });
      return Object.assign(window, { said }).said;
    });
    expect(said).toEqual([]);
    await server.kill9();
    await server.restart();
    await run.says('live');

    await expect(run.status).toHaveAttribute('data-attempt', '2', { timeout: 60_000 });
    await run.isAt('running', 2);
    await api.printed(id, 'attempt 2');
    const first = page.locator('[data-testid="attempt"][data-attempt="1"]');
    await expect(first).toHaveAttribute('data-status', 'interrupted');
    await expect(run.phase('make')).toHaveAttribute('data-state', 'completed');
    await expect(run.phase('hold')).toHaveAttribute('data-state', 'started');
    await run.says('live');
    expect(await page.evaluate(() => (window as unknown as { said: string[] }).said)).not.toContain('ended');
    project.release('go');
    await run.isAt('completed', 2);
    await run.says('ended');
    await run.showsAll(await api.frames(id));
    expect(project.lines('starts')).toEqual(['1 make', '1 hold', '2 hold']);
    await unchanged();
  });
});
