// The tabs of a browser, and the one that leads.
import { expect, type BrowserContext, type CDPSession } from '@playwright/test';
import { RunPage } from './pages.ts';

/** The role of a tab in the shared connection. */
export type Role = 'leader' | 'follower' | 'solo';

/** Opens a run page in a new tab. */
export async function openTab(context: BrowserContext, base: string, id: string): Promise<RunPage> {
  const tab = new RunPage(await context.newPage(), base);
  await tab.open(id);
  return tab;
}

/** Opens a run page in several tabs, and waits until all are live. */
export async function openTabs(count: number, context: BrowserContext, base: string, id: string): Promise<RunPage[]> {
  const tabs: RunPage[] = [];
  while (tabs.length < count) tabs.push(await openTab(context, base, id));
  for (const tab of tabs) await tab.says('live');
  return tabs;
}

export async function roleOf(tab: RunPage): Promise<Role> {
  return (await tab.connection.getAttribute('data-role')) as Role;
}

/** Waits until exactly one of these tabs leads, and returns it. */
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

/** The number of open streams, from the metrics of the server. */
export async function streamsAt(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text();
  return Number(/^runtrail_streams (\d+)$/m.exec(text)?.[1]);
}

/**
 * Freezes a tab with the debugger: its connections stay open, but no script runs.
 *
 * `Page.setWebLifecycleState` does not freeze visible tabs, and the tabs of a test are always visible.
 */
export async function freeze(tab: RunPage): Promise<CDPSession> {
  const devtools = await tab.page.context().newCDPSession(tab.page);
  await devtools.send('Debugger.enable');
  const paused = new Promise<void>((done) => devtools.once('Debugger.paused', () => done()));
  await devtools.send('Debugger.pause');
  await paused;
  return devtools;
}

/** Resumes a frozen tab. */
export async function thaw(devtools: CDPSession): Promise<void> {
  await devtools.send('Debugger.resume');
  await devtools.send('Debugger.disable');
}
