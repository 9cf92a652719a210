// A run of a million frames: any position takes one request and less than a second, and memory stays constant.
import type { CDPSession, Page } from '@playwright/test';
import { hydrated, type RunPage } from '../support/pages.ts';
import { waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

test.use({ trace: 'off', serverOptions: { pollInterval: '60s' } });
test.setTimeout(900_000);

const LINES = Number(process.env['RUNTRAIL_LONG_LINES'] ?? 1_000_000);

/** How long it may take until the rows at a position are drawn. */
const MAX_LOAD_MS = 1000;

/** How much the memory of a tab may grow when the whole log is scrolled through. */
const MAX_GROWTH_MIB = 64;

/** Records the requests of the page; `rows` are those for rows. */
function watchRequests(page: Page): { all: string[]; rows: () => string[]; forget: () => void } {
  const all: string[] = [];
  page.on('request', (request) => {
    if (['fetch', 'xhr', 'document', 'eventsource'].includes(request.resourceType())) all.push(request.url());
  });
  const rows = () => all.filter((url) => /\/frames\?after=/.test(url));
  return { all, rows, forget: () => all.splice(0) };
}

/** The memory of the tab in MiB. */
async function memory(cdp: CDPSession, page: Page): Promise<{ heap: number; whole: number }> {
  await cdp.send('HeapProfiler.collectGarbage');
  const { metrics } = await cdp.send('Performance.getMetrics');
  const heap = metrics.find((metric) => metric.name === 'JSHeapUsedSize')!.value;
  const whole = await page.evaluate(async () => {
    const measure = (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory;
    return measure?.usedJSHeapSize ?? 0;
  });
  return { heap: heap / 2 ** 20, whole: whole / 2 ** 20 };
}

/** Waits until a row is in view. Returns the milliseconds since `act`. */
async function until(run: RunPage, seq: number, act: () => Promise<unknown>): Promise<number> {
  const began = Date.now();
  await act();
  await expect(run.frame(seq), `row ${seq}`).toBeInViewport();
  return Date.now() - began;
}

/** Waits until all rows in view are loaded. */
async function settled(run: RunPage): Promise<void> {
  await expect(run.page.getByTestId('absent-row')).toHaveCount(0);
}

test('any position of a long log takes one request, less than a second and constant memory', async ({
  server,
  api,
  run,
  page,
}, info) => {
  await server.pipeline({ name: 'long', phases: { print: `seq 1 ${LINES}`, after: 'echo done' } });
  const id = await server.run('long');
  const { head } = await api.reaches(id, 'completed', 600_000);
  expect(head).toBeGreaterThan(LINES);
  const requests = watchRequests(page);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable');

  const figures: Record<string, unknown> = { head };
  /** Measures an action that brings this row into view. */
  const measure = async (name: string, seq: number, act: () => Promise<unknown>, requested = 1) => {
    requests.forget();
    const took = await until(run, seq, act);
    await settled(run);
    figures[name] = { ms: took, requests: requests.rows().length };
    expect(requests.rows(), `requests of ${name}`).toHaveLength(requested);
    expect(took, `ms of ${name}`).toBeLessThan(MAX_LOAD_MS);
    expect(await run.count('gaps')).toBe(0);
    expect(await run.count('last')).toBe(head);
  };

  await run.open(id);
  await expect(run.frame(head)).toBeInViewport();
  expect(await run.count('frames')).toBeLessThan(1000);
  const before = await memory(cdp, page);
  const list = page.getByRole('log');
  await list.focus();
  await measure('Home', 1, () => page.keyboard.press('Home'));
  await expect(run.frame(10)).toContainText('8');
  // The newest rows are still loaded.
  await measure('End', head, () => page.keyboard.press('End'), 0);
  await measure('the middle, by dragging', Math.round(head / 2), () =>
    list.evaluate((element) => {
      element.scrollTop = (element.scrollHeight - element.clientHeight) / 2;
    }),
  );
  const middle = Math.round(head / 2);
  await expect(run.frame(middle)).toContainText(String(middle - 2));

  // Keys and the wheel scroll from there as usual.
  const top = await run.frame(middle).evaluate((row) => row.getBoundingClientRect().top);
  await list.hover();
  await page.mouse.wheel(0, 100);
  await expect
    .poll(async () => Math.round((await run.frame(middle).evaluate((row) => row.getBoundingClientRect().top)) - top))
    .toBe(-100);
  const first = () => run.frames.first().evaluate((row) => Number((row as HTMLElement).dataset['frameId']));
  const upper = await first();
  await page.keyboard.press('PageDown');
  await expect.poll(first).toBeGreaterThan(upper + 10);

  // The link of a phase.
  const journal = (await api.run(id)).phases.map((phase) => phase.name);
  expect(journal).toEqual(['print', 'after']);
  await measure('a phase', 2, () => run.phase('print').getByRole('link').click(), 0);
  await expect(run.frame(2)).toHaveAttribute('data-marked', '');

  // Scroll through the whole log.
  for (let place = 0; place <= 60; place += 1) {
    await list.evaluate((element, part) => {
      element.scrollTop = (element.scrollHeight - element.clientHeight) * part;
    }, place / 60);
    await settled(run);
    await expect(run.frames.first()).toBeAttached();
  }
  const after = await memory(cdp, page);
  const held = await run.count('frames');
  figures['memory'] = { before, after, held };
  expect(held).toBeLessThanOrEqual(20_000);
  expect(after.heap - before.heap, 'MiB of growth').toBeLessThan(MAX_GROWTH_MIB);

  // A link from outside takes one request for rows.
  const linked = Math.round(head / 3);
  requests.forget();
  const began = Date.now();
  await page.goto(`${run.base}/runs/${id}#f${linked}`);
  await page.reload();
  await expect(run.frame(linked)).toBeInViewport();
  await settled(run);
  figures['a link, with its page twice'] = { ms: Date.now() - began, requests: requests.rows().length };
  await expect(run.frame(linked)).toHaveAttribute('data-marked', '');
  await expect(run.frame(linked)).toContainText(String(linked - 2));

  // With ?at in the address, the server renders the rows.
  requests.forget();
  await page.goto(`${run.base}/runs/${id}?at=${linked}#f${linked}`);
  await hydrated(page);
  await expect(run.frame(linked)).toBeInViewport();
  await settled(run);
  figures['a link with ?at'] = { requests: requests.rows().length };

  await info.attach('figures.json', { body: JSON.stringify(figures, null, 2), contentType: 'application/json' });
  console.log(JSON.stringify(figures));
});

test('rows that failed to load are loaded on request', async ({ server, api, run, page, complaints }) => {
  complaints.expectNetworkErrors();
  complaints.expect(/503/);
  await server.pipeline({ name: 'long', phases: { print: 'seq 1 60000' } });
  const id = await server.run('long');
  const { head } = await api.reaches(id, 'completed', 120_000);
  await run.open(id);
  await expect(run.frame(head)).toBeInViewport();
  await page.route(/\/frames\?after=/, (route) => route.fulfill({ status: 503, body: '{}' }));
  await page.getByRole('log').focus();
  await page.keyboard.press('Home');
  await expect(page.getByTestId('rows-failed')).toBeVisible();
  await expect(page.getByTestId('absent-row').first()).toBeVisible();
  await page.unroute(/\/frames\?after=/);
  await page.getByTestId('rows-retry').click();
  await expect(run.frame(1)).toBeInViewport();
  await expect(page.getByTestId('rows-failed')).toHaveCount(0);
  await settled(run);
});

test('scroll position stays while a live run prints', async ({ server, project, api, run, page }) => {
  const print = ['seq 1 60000', waitFor('go'), 'seq 1 5000', waitFor('end')].join('\n');
  await server.pipeline({ name: 'live', phases: { print } });
  const id = await server.run('live');
  await expect.poll(async () => (await api.run(id)).head, { timeout: 120_000 }).toBeGreaterThan(60_000);
  await run.open(id);
  await run.says('live');
  await page.getByRole('log').focus();
  await page.keyboard.press('Home');
  await expect(run.frame(5)).toBeInViewport();
  await settled(run);
  const top = () => run.frame(5).evaluate((row) => row.getBoundingClientRect().top);
  const before = await top();
  project.release('go');
  await expect.poll(() => run.count('last')).toBeGreaterThan(65_000);
  expect(await top()).toBe(before);
  expect(await run.count('gaps')).toBe(0);
  await page.getByRole('button', { name: /latest/i }).click();
  await expect(run.frame(await run.count('last'))).toBeInViewport();
  await settled(run);
  project.release('end');
  await api.reaches(id, 'completed');
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('link with ?at shows the lines around it, with links to older and newer ones', async ({
    server,
    api,
    run,
    page,
  }) => {
    await server.pipeline({ name: 'long', phases: { print: 'seq 1 60000' } });
    const id = await server.run('long');
    await api.reaches(id, 'completed', 120_000);
    await page.goto(`${run.base}/runs/${id}?at=30000#f30000`);
    await expect(run.frame(30_000)).toBeVisible();
    await page.getByRole('link', { name: 'Older lines' }).click();
    await expect(run.frame(29_949)).toBeVisible();
    await page.getByRole('link', { name: 'Newer lines' }).click();
    await expect(run.frame(30_000)).toBeVisible();
    await run.phase('print').getByRole('link').click();
    await expect(run.frame(2)).toBeVisible();
  });
});
