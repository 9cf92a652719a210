// The fixtures of all specs: a server of its own, its API, a fault proxy, and a console without complaints.
import { test as base } from '@playwright/test';
import { Api } from './api.ts';
import { Complaints } from './console.ts';
import { ListPage, RunPage } from './pages.ts';
import { Project } from './project.ts';
import { FaultProxy } from './proxy.ts';
import { Server, type ServerOptions } from './server.ts';

interface Fixtures {
  serverOptions: ServerOptions;
  server: Server;
  project: Project;
  api: Api;
  /** A proxy in front of the server that injects faults. */
  faults: FaultProxy;
  complaints: Complaints;
  /** The list in the first tab. Not opened yet. */
  list: ListPage;
  /** A run page in the first tab. Not opened yet. */
  run: RunPage;
}

export const test = base.extend<Fixtures>({
  serverOptions: [{}, { option: true }],

  server: async ({ serverOptions }, use, info) => {
    const server = await Server.start(serverOptions);
    await use(server);
    const left = await server.dispose();
    if (info.status !== info.expectedStatus) await info.attach('server.log', { body: server.log });
    expect(left, 'no process of a run outlives the server').toEqual([]);
  },
  project: async ({ server }, use) => use(server.project),
  api: async ({ server }, use) => use(server.api),
  faults: async ({ server }, use) => {
    const proxy = await FaultProxy.start(server.port);
    await use(proxy);
    await proxy.stop();
  },

  // `page.goto('/')` opens the server of this test.
  baseURL: async ({ server }, use) => use(server.base),

  complaints: [
    async ({ context }, use) => {
      const complaints = new Complaints();
      complaints.watch(context);
      await use(complaints);
      complaints.check();
    },
    { auto: true },
  ],

  list: async ({ page, server }, use) => use(new ListPage(page, server.base)),
  run: async ({ page, server }, use) => use(new RunPage(page, server.base)),
});

export const expect = test.expect;
