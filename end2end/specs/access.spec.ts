// Access control: login links, roles, tokens, sessions and the audit log.
import type { Browser, BrowserContext, Page } from '@playwright/test';
import { hydrated, StartForm } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';
import type { Server } from '../support/server.ts';

test.use({ serverOptions: { guarded: true } });

const SHOW = { name: 'release', title: 'Release', phases: { show: 'echo shown' } };
const APPROVAL = { ...SHOW, phases: {}, more: '[[phases]]\nname = "deploy"\nrun = "echo deployed"\napproval = true' };

/** A browser that is logged in with a token of this role. */
async function loggedIn(browser: Browser, server: Server, name: string, role: string): Promise<[BrowserContext, Page]> {
  const token = await server.createToken(name, role);
  const context = await browser.newContext({ baseURL: server.base });
  const page = await context.newPage();
  await page.goto('/login');
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(`${server.base}/`);
  await hydrated(page);
  return [context, page];
}

async function account(page: Page): Promise<void> {
  await page.getByTestId('account').click();
}

test('login link logs one browser in, which can then make changes', async ({
  server,
  page,
  browser,
  complaints,
}) => {
  complaints.expect(/status of 401/);
  await server.pipeline(SHOW);
  await page.goto(server.loginLink);
  await page.waitForURL(`${server.base}/`);
  await hydrated(page);
  await account(page);
  await expect(page.getByTestId('account-name')).toHaveText('operator');
  await page.keyboard.press('Escape');

  const form = new StartForm(page);
  await form.choose('release');
  await form.param('project').fill(server.project.path);
  await form.start();
  await expect(page.getByTestId('origin')).toHaveText('Started by the operator');

  const other = await browser.newContext();
  const late = await other.newPage();
  await late.goto(server.loginLink);
  await expect(late.getByRole('alert')).toContainText('This login link was already used');
  await expect(late).toHaveURL(`${server.base}/login`);
  await other.close();
});

test('session cookie alone, as another port sees it, changes nothing', async ({ server, page, context }) => {
  await page.goto(server.loginLink);
  await page.waitForURL(`${server.base}/`);
  const [cookie] = await context.cookies();
  const start = (headers: Record<string, string>) =>
    fetch(`${server.base}/api/v1/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie: `${cookie!.name}=${cookie!.value}`, ...headers },
      body: JSON.stringify({ pipeline: 'none' }),
    });
  expect((await start({})).status).toBe(403);
  const key = await page.evaluate(() => localStorage.getItem('runtrail-key'));
  // 404, not 403: the guard lets it pass.
  expect((await start({ 'x-runtrail-key': key! })).status).toBe(404);
  // The key is in no page.
  expect(await (await fetch(server.base, { headers: { cookie: `${cookie!.name}=${cookie!.value}` } })).text()).not.toContain(key);
});

test('logout ends the session in every tab', async ({ server, page, context, complaints }) => {
  complaints.expectNetworkErrors();
  complaints.expect(/status of 401/);
  await page.goto(server.loginLink);
  await page.waitForURL(`${server.base}/`);
  await hydrated(page);
  const other = await context.newPage();
  await other.goto('/');
  await hydrated(other);
  await account(page);
  await page.getByTestId('log-out').click();
  await page.waitForURL('**/login');
  await other.waitForURL('**/login**');
  await page.goto('/');
  await page.waitForURL('**/login');
});

test('viewer can only read, approver can approve with a note', async ({ server, api, browser }) => {
  await server.pipeline(APPROVAL);
  const { id } = await api.start('release', { project: server.project.path });
  const [eyes, viewer] = await loggedIn(browser, server, 'eyes', 'viewer');
  const [hands, approver] = await loggedIn(browser, server, 'anna', 'approver');
  await expect(viewer.locator('#start')).toBeHidden();
  await expect(approver.locator('#start')).toBeVisible();
  for (const page of [viewer, approver]) {
    await page.goto(`/runs/${id}`);
    await hydrated(page);
    await expect(page.getByTestId('approval')).toBeVisible();
  }
  await expect(viewer.getByTestId('approve')).toBeHidden();
  await expect(viewer.getByTestId('cancel')).toBeHidden();
  await expect(viewer.getByTestId('approval-role')).toBeVisible();
  await approver.getByTestId('approval-note').fill('looked at it');
  await approver.getByTestId('approve').click();
  await expect(approver.getByTestId('run-status')).toHaveAttribute('data-status', 'completed');
  const answered = (await api.frames(id)).find((frame) => frame.kind === 'approval' && frame.data['state'] === 'approved');
  expect(answered!.data['note']).toBe('looked at it');
  expect(String(answered!.data['by'])).toMatch(/^anna at /);
  await expect(approver.getByTestId('origin')).toHaveText('Started by the operator’s token');
  await eyes.close();
  await hands.close();
});

test('admin creates and revokes a token, which the audit log records', async ({ server, page }) => {
  await page.goto(server.loginLink);
  await page.waitForURL(`${server.base}/`);
  await page.goto('/access');
  await hydrated(page);
  await page.getByTestId('token-name').fill('ci');
  await page.getByTestId('create-token').click();
  const secret = await page.getByTestId('new-token-secret').textContent();
  const read = () => fetch(`${server.base}/api/v1/runs`, { headers: { authorization: `Bearer ${secret}` } });
  expect((await read()).status).toBe(200);
  const row = page.getByTestId('token').and(page.locator('[data-name="ci"]'));
  await expect(row).toContainText('operator');
  await row.getByTestId('revoke-token').click();
  await expect(row).toHaveCount(0);
  expect((await read()).status).toBe(401);
  await account(page);
  await page.getByTestId('account-audit').click();
  await expect(page.getByTestId('audit-line')).toHaveCount(4);
  const actions = await page.getByTestId('audit-line').evaluateAll((lines) => lines.map((line) => line.getAttribute('data-action')));
  expect(actions).toEqual(['login_refused', 'token_revoke', 'token_create', 'login']);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('users log in, start a run and log out', async ({ server, page }) => {
    await server.pipeline(SHOW);
    await page.goto('/');
    await page.getByLabel('Token').fill(await server.createToken('plain', 'operator'));
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.goto('/?pipeline=release');
    await page.getByTestId('param-project').fill(server.project.path);
    await page.getByTestId('start-run').click();
    await expect(page).toHaveURL(/\/runs\//);
    await expect(page.getByTestId('origin')).toHaveText('Started by plain');
    await account(page);
    await page.getByTestId('log-out').click();
    await expect(page).toHaveURL(/\/login$/);
  });
});

for (const [name, viewport] of [
  ['desktop', { width: 1280, height: 800 }],
  ['phone', { width: 390, height: 844 }],
] as const) {
  for (const scheme of ['light', 'dark'] as const) {
    test.describe(`${name}, ${scheme}`, () => {
      test.use({ viewport, colorScheme: scheme });

      test('admin pages fit the screen', async ({ server, page }, info) => {
        await server.createToken('deploy-bot', 'operator');
        await server.createToken('a-name-that-is-rather-long-and-has-no-place-to-break-it', 'approver');
        await page.goto(server.loginLink);
        await page.waitForURL(`${server.base}/`);
        for (const path of ['/access', '/audit', '/login']) {
          await page.goto(path);
          const sideways = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(await sideways(), `${path} does not scroll sideways`).toBeLessThanOrEqual(0);
          if (path === '/access') {
            await hydrated(page);
            await account(page);
          }
          await page.screenshot({ path: info.outputPath(`${path.slice(1)}-${name}-${scheme}.png`) });
        }
      });
    });
  }
}
