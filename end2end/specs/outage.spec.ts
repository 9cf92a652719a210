// A server that is down: pages keep their content, explain the problem, and recover.
import { ListPage, RunPage, hydrated, sameDocument } from '../support/pages.ts';
import { waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

/** Raw errors that must not reach users. */
const RAW = /TypeError|Failed to fetch|server function|deserializ/i;

test.beforeEach(({ complaints }) => {
  complaints.expectNetworkErrors();
  complaints.expect(/status of 503/);
});

test('filter set while the server is down applies when it is back', async ({
  server,
  api,
  list,
  page,
}) => {
  await server.pipeline({ name: 'well', phases: { only: 'true' } });
  await server.pipeline({ name: 'badly', phases: { only: 'exit 3' } });
  const well = await server.run('well');
  const badly = await server.run('badly');
  await api.reaches(well, 'completed');
  await api.reaches(badly, 'failed');
  await list.open();
  await expect(list.rows).toHaveCount(2);
  const unchanged = await sameDocument(page);
  const top = (await list.row(badly).boundingBox())!.y;

  await server.stop();
  const chip = page.getByTestId('connection');
  await expect(chip).toHaveAttribute('data-state', 'retrying');
  await page.getByLabel('Status').selectOption('failed');
  await expect(page.getByText('waiting for the server')).toBeVisible();
  await expect(list.rows).toHaveCount(2);
  expect((await list.row(badly).boundingBox())!.y, 'the list is not pushed down').toBe(top);
  await expect(page.locator('body')).not.toContainText(RAW);

  await server.restart();
  await expect(list.rows).toHaveCount(1);
  await list.shows(badly, 'failed');
  await expect(page.getByText('waiting for the server')).toBeHidden();
  // The other filters.
  await page.getByLabel('Status').selectOption('');
  await expect(list.rows).toHaveCount(2);
  await page.getByLabel('Search runs').fill('nothing has this in it');
  await expect(page.getByText('No runs match.')).toBeVisible();
  await page.getByRole('link', { name: 'Clear filters' }).click();
  await expect(list.rows).toHaveCount(2);
  await expect(page.getByLabel('Search runs')).toHaveValue('');
  await expect(page).toHaveURL(`${server.base}/`);
  await unchanged();
});

test('page opened while the server is down loads when it is back', async ({ server, api, list, page, faults }) => {
  await server.pipeline({ name: 'well', title: 'A title', phases: { only: 'echo done' } });
  const id = await server.run('well');
  await api.rerun((await api.reaches(id, 'completed')).id);
  await api.reaches(id, 'completed');
  const away = new ListPage(page, faults.base);
  await away.open();
  await expect(list.row(id)).toBeVisible();
  const unchanged = await sameDocument(page);

  faults.goAway();
  await away.follow(id);
  await expect(page.getByRole('heading', { name: "Can't reach the server" })).toBeVisible();
  await expect(page.locator('body')).not.toContainText(RAW);
  await expect(page.getByRole('button', { name: 'Try again' })).toBeVisible();
  faults.unblock();
  const run = new RunPage(page, faults.base);
  await run.isAt('completed', 2);
  await expect(page.getByRole('heading', { name: 'A title' })).toBeVisible();
  await expect(page.getByTestId('rerun-edit'), 'the pipelines are read again too').toBeVisible();

  // The same for the comparison and the list.
  faults.goAway();
  await page.getByTestId('compare').click();
  await expect(page.getByRole('heading', { name: "Can't reach the server" })).toBeVisible();
  faults.unblock();
  await expect(page.getByTestId('compare-side')).toHaveCount(2);
  faults.goAway();
  await page.getByRole('link', { name: 'Runtrail' }).click();
  await expect(page.getByRole('button', { name: 'Try again' })).toBeVisible();
  await expect(page.locator('body')).not.toContainText(RAW);
  faults.unblock();
  await expect(away.row(id)).toBeVisible();
  await expect(away.form.submit).toBeEnabled();
  await unchanged();
});

test('unanswered cancel is reported until the server is back', async ({ server, project, api, page, faults }) => {
  await server.pipeline({ name: 'long', phases: { long: `echo ready\n${waitFor('end')}` } });
  const id = await server.run('long');
  await api.printed(id, 'ready');
  const run = new RunPage(page, faults.base);
  await run.open(id);
  await run.says('live');
  faults.goAway();
  await run.says('retrying');
  await run.cancel.click();
  const notice = page.getByRole('alert').filter({ hasText: "We couldn't confirm this." });
  await expect(notice).toBeVisible();
  await expect(notice).not.toContainText(RAW);
  faults.unblock();
  await run.says('live');
  await expect(notice).toBeHidden();
  expect((await api.run(id)).status).toBe('running');

  // It can be dismissed.
  faults.goAway();
  await run.says('retrying');
  await run.cancel.click();
  await expect(notice).toBeVisible();
  await notice.getByRole('button', { name: 'Dismiss' }).click();
  await expect(notice).toBeHidden();
  faults.unblock();
  await run.says('live');
  project.release('end');
  await run.isAt('completed', 1);

  // The page of a finished run has no stream: its poll notices that the server is back.
  await run.says('ended');
  faults.goAway();
  await run.rerun.click();
  await expect(notice).toBeVisible();
  faults.unblock();
  await expect(notice).toBeHidden();
  expect((await api.run(id)).attempt).toBe(1);
});

test('unanswered start can be repeated and starts one run', async ({ server, api, page, faults }) => {
  await server.pipeline({ name: 'well', phases: { only: 'echo done' } });
  const list = new ListPage(page, faults.base);
  await list.open();
  await list.form.choose('well');
  // The server started the run, but its response is lost.
  const hold = faults.hold('answer', ({ path }) => path.startsWith('/fn/start_run'));
  await list.form.submit.click();
  await expect.poll(async () => (await api.runs()).length).toBe(1);
  faults.goAway();
  await page.evaluate(() => window.stop());
  const notice = page.getByRole('alert').filter({ hasText: "the run won't start twice." });
  await expect(notice).toBeVisible();
  await expect(notice).not.toContainText(RAW);
  hold.release();
  faults.unblock();
  await list.form.start();
  await new RunPage(page, faults.base).isAt('completed', 1);
  expect(await api.runs()).toHaveLength(1);
});

test('earlier attempt selected while the server is down loads when it is back', async ({ server, api, page, faults }) => {
  await server.pipeline({ name: 'badly', phases: { only: 'exit 3' } });
  const id = await server.run('badly');
  await api.reaches(id, 'failed');
  await api.rerun(id);
  await expect.poll(async () => (await api.run(id)).attempt).toBe(2);
  await api.reaches(id, 'failed');
  await page.goto(`${faults.base}/runs/${id}`);
  await hydrated(page);
  faults.goAway();
  await page.locator('[data-testid="attempt"][data-attempt="1"]').click();
  await expect(page.getByRole('alert').filter({ hasText: "Can't reach the server" })).toBeVisible();
  faults.unblock();
  await expect(page.getByTestId('attempt-shown')).toHaveAttribute('data-attempt', '1');
  await expect(page.getByRole('alert')).toHaveCount(0);
});
