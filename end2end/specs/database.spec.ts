// Another program locks the database: every page shows a banner until the lock is released, and the run continues.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { Server } from '../support/server.ts';
import { waitFor } from '../support/project.ts';
import { expect, test } from '../support/test.ts';

const HOLD = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
`;

/** Locks the server's database until what this returns is called. */
async function lock(server: Server): Promise<() => Promise<void>> {
  const holder: ChildProcessWithoutNullStreams = spawn('python3', ['-c', HOLD, join(server.root, 'data', 'runtrail.db')]);
  await once(holder.stdout, 'data');
  return async () => {
    holder.stdin.end();
    await once(holder, 'exit');
  };
}

test('pages show a banner while the database is locked', async ({
  server,
  project,
  api,
  list,
  run,
  page,
  complaints,
}) => {
  complaints.expect(/status of 503/);
  await server.pipeline({ name: 'waits', phases: { only: `echo before; ${waitFor('go')}; echo after` } });
  const id = await server.run('waits');
  await api.reaches(id, 'running');
  const free = await lock(server);
  const banner = page.getByTestId('outage');
  await run.open(id);
  await expect(banner).toHaveAttribute('data-kind', 'locked', { timeout: 30_000 });
  await expect(banner).toContainText('Waiting for the database');
  await list.open();
  await expect(banner).toBeVisible();
  await expect(run.status).toBeHidden();
  await free();
  await expect(banner).toBeHidden({ timeout: 30_000 });
  project.release('go');
  expect((await api.reaches(id, 'completed')).attempt).toBe(1);
});
