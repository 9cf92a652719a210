// The app below a base path, behind a real nginx that strips the path (/rt/) or passes it on.
import { Nginx } from '../support/nginx.ts';
import { ListPage, RunPage, hydrated, sameDocument } from '../support/pages.ts';
import { waitFor } from '../support/project.ts';
import { steadyPort } from '../support/server.ts';
import { expect, test as base } from '../support/test.ts';

for (const passesOn of [false, true]) {
  const test = base.extend<{ publicPort: number; nginx: Nginx }>({
    publicPort: async ({}, use) => use(await steadyPort()),
    serverOptions: async ({ publicPort }, use) => use({ publicUrl: `http://127.0.0.1:${publicPort}/rt` }),
    nginx: async ({ publicPort, server }, use) => {
      const nginx = await Nginx.start(publicPort, { '/rt/': `${server.base}${passesOn ? '' : '/'}` });
      await use(nginx);
      await nginx.stop();
    },
  });

  test(`pages work below a path that nginx ${passesOn ? 'passes on' : 'takes away'}`, async ({
    server,
    project,
    api,
    nginx,
    page,
    context,
  }) => {
    await server.pipeline({
      name: 'steps',
      title: 'Steps',
      phases: { steps: `echo one\n${waitFor('two')}\necho two\n${waitFor('three')}\necho three` },
    });
    const root = `http://127.0.0.1:${nginx.port}/rt`;
    const astray: string[] = [];
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol === 'http:' && !url.pathname.startsWith('/rt/')) astray.push(request.url());
    });

    const list = new ListPage(page, root);
    await list.open();
    await list.form.choose('steps');
    await list.form.param('project').fill(project.path);
    const unchanged = await sameDocument(page);
    const id = await list.form.start();
    expect(new URL(page.url()).pathname).toBe(`/rt/runs/${id}`);
    await unchanged();

    // Live: each line arrives while the run waits before the next.
    const run = new RunPage(page, root);
    await run.says('live');
    await expect(page.getByTestId('frame').filter({ hasText: 'one' }).last()).toBeVisible();
    project.release('two');
    await expect(page.getByTestId('frame').filter({ hasText: 'two' }).last()).toBeVisible();
    project.release('three');
    await run.isAt('completed', 1);
    await api.reaches(id, 'completed');

    // Reload, navigation and filters stay below the path.
    await page.reload();
    await hydrated(page);
    await run.isAt('completed', 1);
    await page.locator('a[href="/rt/"]').first().click();
    await page.waitForURL(`${root}/`);
    await list.shows(id, 'completed');
    await page.goto(`${root}/?status=failed`);
    await hydrated(page);
    await page.getByRole('link', { name: 'Clear filters' }).click();
    await page.waitForURL(`${root}/`);
    await page.locator(`a[href="/rt/runs/${id}"]`).first().click();
    await page.waitForURL(`${root}/runs/${id}`);

    // An action.
    await run.rerun.click();
    await run.isAt('completed', 2);

    // Names that the tabs of an origin share include the path.
    const names = await page.evaluate(async () => {
      const locks = await navigator.locks.query();
      return (locks.held ?? []).map((lock) => lock.name ?? '');
    });
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !name.startsWith('/rt '))).toEqual([]);
    expect(astray, 'nothing is asked for elsewhere').toEqual([]);
  });
}
