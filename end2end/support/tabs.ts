// Several tabs of one browser, and who of them leads.
import { expect, type BrowserContext, type CDPSession } from '@playwright/test';
import { RunPage } from './pages.ts';

/** The tab's part in the browser's one connection. */
export type Role = 'leader' | 'follower' | 'solo';

/** Opens a run's page in a new tab. */
export async function openTab(context: BrowserContext, base: string, id: string): Promise<RunPage> {
  const tab = new RunPage(await context.newPage(), base);
  await tab.open(id);
  return tab;
}

/** Opens a run's page in so many new tabs, and waits until all are live. */
export async function openTabs(count: number, context: BrowserContext, base: string, id: string): Promise<RunPage[]> {
  const tabs: RunPage[] = [];
  while (tabs.length < count) tabs.push(await openTab(context, base, id));
  for (const tab of tabs) await tab.says('live');
  return tabs;
}

export async function roleOf(tab: RunPage): Promise<Role> {
  return (await tab.connection.getAttribute('data-role')) as Role;
}

/** The one of these tabs that leads; there is exactly one. */
export async function leaderOf(tabs: RunPage[]): Promise<RunPage> {
  let leaders: RunPage[] = [];
  await expect
    .poll(
      async () => {
        const roles = await Promise.all(tabs.map(roleOf));
        leaders = tabs.filter((_, index) => roles[index] === 'leader');
        return leaders.length;
      },
      { message: 'exactly one tab leads', intervals: [20] },
    )
    .toBe(1);
  return leaders[0]!;
}

/** How many streams the server at this address holds open, by its own count. */
export async function streamsAt(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text();
  return Number(/^runtrail_streams (\d+)$/m.exec(text)?.[1]);
}

/**
 * Freezes a tab: nothing in it runs, what it holds it keeps, what it is sent waits.
 *
 * By the debugger. The browser's own freezing (`Page.setWebLifecycleState`) leaves visible tabs alone, and those of a test
 * are always visible.
 */
export async function freeze(tab: RunPage): Promise<CDPSession> {
  const devtools = await tab.page.context().newCDPSession(tab.page);
  await devtools.send('Debugger.enable');
  const paused = new Promise<void>((done) => devtools.once('Debugger.paused', () => done()));
  await devtools.send('Debugger.pause');
  await paused;
  return devtools;
}

/** Lets a frozen tab go on. */
export async function thaw(devtools: CDPSession): Promise<void> {
  await devtools.send('Debugger.resume');
  await devtools.send('Debugger.disable');
}
