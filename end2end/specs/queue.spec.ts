// The queue position, live in the list and on the run page.
import { waitFor } from '../support/project.ts';
import { RunPage } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

test.use({ serverOptions: { workers: 1 } });

test('queue position is shown and updated', async ({ server, project, api, list, context }) => {
  await server.pipeline({ name: 'one', phases: { wait: waitFor('one') } });
  await server.pipeline({ name: 'later', phases: { wait: waitFor('later') } });
  await server.pipeline({ name: 'urgent', head: 'priority = 5', phases: { wait: waitFor('urgent') } });
  const one = await server.run('one');
  await api.reaches(one, 'running');
  const first = await server.run('later');
  const second = await server.run('later');
  await list.open();
  const inList = (id: string) => list.row(id).getByTestId('queue-position');
  await expect(inList(first)).toHaveText('Next in queue');
  await expect(inList(second)).toHaveText('#2 in queue');

  const page = new RunPage(await context.newPage(), server.base);
  await page.open(second);
  const place = page.page.getByTestId('queue-position');
  await expect(place).toHaveAttribute('data-position', '2');
  // A run with a higher priority is queued.
  const urgent = await server.run('urgent');
  await expect(place).toHaveAttribute('data-position', '3');
  await expect(inList(urgent)).toHaveAttribute('data-position', '1');
  await api.cancel(first);
  await expect(place).toHaveAttribute('data-position', '2');
  project.release('one');
  await api.reaches(urgent, 'running');
  await expect(place).toHaveText('Next in queue');
  await expect(inList(urgent)).toHaveCount(0);
  project.release('urgent');
  await page.isAt('running', 1);
  await expect(place).toHaveCount(0);
  await expect(inList(second)).toHaveCount(0);
  project.release('later');
  await api.reaches(second, 'completed');
});

test.describe('in a concurrency group', () => {
  test.use({ serverOptions: { workers: 3 } });

  test('queued run names the run that blocks it', async ({ server, project, api, run, list, page }) => {
    await server.pipeline({ name: 'alone', head: 'concurrency = "per project"', phases: { wait: waitFor('go') } });
    const one = await server.run('alone');
    await api.reaches(one, 'running');
    const two = await server.run('alone');
    await run.open(two);
    const place = page.getByTestId('queue-position');
    await expect(place).toHaveText(/^Blocked by /);
    await expect(place.getByRole('link')).toHaveAttribute('href', `/runs/${one}`);
    const three = await server.run('alone');
    await list.open();
    await expect(list.row(three).getByTestId('queue-position')).toHaveText(/^#2 in queue, behind /);
    await run.open(two);
    project.release('go');
    await run.isAt('completed', 1);
    await expect(place).toHaveCount(0);
  });
});
