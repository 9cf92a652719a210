// Output is rendered as text, and other sites cannot reach the server, which runs commands.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { noteStart, waitFor } from '../support/project.ts';
import { ask } from '../support/raw.ts';
import { expect, test } from '../support/test.ts';

const MARKUP = [
  '<script>window.taken = 1</script>',
  '<img src="/nothing-here.png" onerror="window.taken = 2">',
  '</script><script>window.taken = 3</script>',
  '<!-- <script> <!--',
  '</div></main><svg onload="window.taken = 4">',
  '<a href="javascript:window.taken = 5">a link</a>',
  '&lt;b&gt; &amp; "quotes" \'and\' `ticks` \u2028 ${window.taken = 6}',
];

test('output and parameters are rendered as text, live and by the server', async ({
  server,
  project,
  api,
  list,
  run,
  page,
}) => {
  await server.pipeline({
    name: 'markup',
    title: 'Title <script>window.taken = 7</script>',
    params: [
      { name: 'project', type: 'path', required: true },
      { name: 'text', type: 'string', required: true },
    ],
    phases: {
      only: [
        'echo ready',
        waitFor('go'),
        `cat <<'END'\n${MARKUP.join('\n')}\nEND`,
        'printf "%s\\n" "$RUNTRAIL_PARAM_TEXT" >&2',
        waitFor('end'),
        'exit 1',
      ].join('\n'),
    },
  });
  const text = '<b>given</b></script><script>window.taken = 8</script>';
  const id = await server.run('markup', { text });
  await api.printed(id, 'ready');
  await run.open(id);
  await run.says('live');
  const isText = async () => {
    const journal = await api.frames(id);
    for (const line of [...MARKUP, text]) {
      const { seq } = journal.find((frame) => frame.data['line'] === line)!;
      await expect(run.frame(seq)).toContainText(line.replace('\u2028', ' U+2028 ').replace(/\s+/g, ' '));
      await expect(run.frame(seq).locator('script, img, svg[onload], b, a[href^="javascript:"]')).toHaveCount(0);
    }
    expect(await page.evaluate(() => 'taken' in window)).toBe(false);
  };
  project.release('go');
  await api.printed(id, text);
  await isText();
  await run.open(id);
  await isText();

  project.release('end');
  await api.reaches(id, 'failed');
  await run.open(id);
  await isText();
  await list.open();
  await list.shows(id, 'failed');
  await list.form.choose('markup');
  await expect(page.locator('body')).toContainText('Title <script>window.taken = 7</script>');
  expect(await page.evaluate(() => 'taken' in window)).toBe(false);
});

/** The policy's directives by name. */
function directives(policy: string): Map<string, string[]> {
  return new Map(
    policy
      .split(';')
      .map((directive) => directive.trim().split(/\s+/))
      .filter(([name]) => name)
      .map(([name, ...values]): [string, string[]] => [name!.toLowerCase(), values]),
  );
}

test('Content-Security-Policy is strict on every page and enforced', async ({
  server,
  api,
  list,
  page,
  complaints,
}) => {
  await server.pipeline({ name: 'quick', phases: { only: 'echo done' } });
  const id = await server.run('quick');
  await api.reaches(id, 'completed');
  for (const path of ['/', `/runs/${id}`, '/runs/01939f1c-8f2a-7c3e-9d5b-0123456789ab']) {
    const { headers } = await ask(server.port, { path });
    const policy = directives(headers['content-security-policy'] ?? '');
    const sources = (name: string) => policy.get(name) ?? policy.get('default-src') ?? ['*'];
    for (const name of ['script-src', 'object-src', 'connect-src', 'frame-src', 'style-src']) {
      for (const wide of ['*', "'unsafe-inline'", "'unsafe-eval'", 'http:', 'https:', 'data:']) {
        expect(sources(name), `${name} of ${path}`).not.toContain(wide);
      }
    }
    expect(policy.get('frame-ancestors'), `${path} cannot be framed`).toEqual(["'none'"]);
    expect(policy.get('base-uri')).toEqual(["'none'"]);
    expect(headers['x-content-type-options']).toBe('nosniff');
  }

  // An injected script would not run.
  await list.open();
  complaints.check();
  complaints.expect(/Content Security Policy/);
  const blocked = await page.evaluate(
    () =>
      new Promise<string>((done) => {
        document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'window.taken = 1; document.dispatchEvent(new Event("taken"))';
        document.addEventListener('taken', () => done('nothing: it ran'));
        document.body.append(script);
      }),
  );
  expect(blocked).toMatch(/^script-src/);
});

test('foreign Host is refused as misdirected', async ({ server }) => {
  await server.pipeline({ name: 'quick', phases: { only: noteStart } });
  const { port } = server;
  for (const host of ['evil.example', `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, `localhost.evil.example:${port}`]) {
    for (const path of ['/', '/api/v1/runs', '/api/v1/pipelines', '/runs/01939f1c-8f2a-7c3e-9d5b-0123456789ab/events']) {
      const { status } = await ask(port, { path, headers: { host } });
      expect(status, `${host} ${path}`).toBe(421);
    }
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
    expect((await ask(port, { path: '/', headers: { host } })).status, host).toBe(200);
  }
});

test('foreign Origin changes nothing, through the API or server functions', async ({
  server,
  project,
  api,
  list,
  page,
}) => {
  await server.pipeline({ name: 'quick', phases: { only: noteStart } });
  const { port } = server;
  const body = JSON.stringify({ pipeline: 'quick', params: { project: project.path } });
  const startByApi = (headers: Record<string, string>) =>
    ask(port, { method: 'POST', path: '/api/v1/runs', body, headers: { 'content-type': 'application/json', ...headers } });
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${port + 1}` },
    { origin: `http://evil.example:${port}` },
    { 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of foreign) {
    const answer = await startByApi(headers);
    expect(answer.status, JSON.stringify(headers)).toBe(403);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  }
  expect(await api.runs()).toEqual([]);

  // Replay the request of the form from another origin.
  await list.open();
  await list.form.choose('quick');
  const posted = page.waitForRequest((request) => request.method() === 'POST');
  const id = await list.form.start();
  await api.reaches(id, 'completed');
  const request = await posted;
  const sent = await request.allHeaders();
  const again = (headers: Record<string, string>, key?: string) =>
    ask(port, {
      method: 'POST',
      path: new URL(request.url()).pathname + new URL(request.url()).search,
      body: key ? (request.postData() ?? '').replace(/\bkey=[^&]+/, `key=${key}`) : (request.postData() ?? ''),
      headers: { 'content-type': sent['content-type'] ?? '', accept: sent['accept'] ?? '*/*', ...headers },
    });
  for (const headers of foreign) expect((await again(headers)).status, JSON.stringify(headers)).toBe(403);
  for (const action of ['rerun', 'cancel']) {
    const answer = await ask(port, {
      method: 'POST',
      path: `/api/v1/runs/${id}/${action}`,
      body: '{"from":"start"}',
      headers: { 'content-type': 'application/json', origin: 'https://evil.example' },
    });
    expect(answer.status, action).toBe(403);
  }
  expect(await api.runs()).toHaveLength(1);
  expect((await api.run(id)).attempt).toBe(1);
  expect(project.lines('starts')).toEqual(['1 only']);

  // From its own origin the same request is accepted: the same key returns the existing run, another key starts a
  // second one.
  const own = { origin: `http://127.0.0.1:${port}` };
  expect((await again(own)).status).toBeLessThan(400);
  expect(await api.runs()).toHaveLength(1);
  expect((await again(own, 'another-key')).status).toBeLessThan(400);
  await expect.poll(async () => (await api.runs()).length).toBe(2);
  for (const run of await api.runs()) await api.reaches(run.id, 'completed');
});

test('page of another site in the same browser starts and reads nothing', async ({
  server,
  project,
  api,
  page,
  complaints,
}) => {
  await server.pipeline({ name: 'quick', phases: { only: noteStart } });
  const site = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/html' });
    answer.end('<!doctype html><title>Elsewhere</title><p>Elsewhere');
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  try {
    complaints.expect(/status of (403|4\d\d)|CORS|net::ERR_FAILED|ERR_BLOCKED_BY_RESPONSE/);
    // To the browser, `localhost` and `127.0.0.1` are different sites.
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`);
    const refused = page.waitForEvent('requestfailed', (request) => request.method() === 'POST');
    const body = JSON.stringify({ pipeline: 'quick', params: { project: project.path } });
    await page.evaluate(
      // Cross-Origin-Resource-Policy withholds the response, which makes fetch fail.
      ([url, body]) => fetch(url!, { method: 'POST', mode: 'no-cors', body: body! }).then(() => undefined, () => undefined),
      [`${server.base}/api/v1/runs`, body],
    );
    expect((await refused).failure()?.errorText).toContain('ERR_BLOCKED_BY_RESPONSE');
    const read = await page.evaluate(
      (url) => fetch(url).then((answer) => answer.text(), () => 'kept from it'),
      `${server.base}/api/v1/runs`,
    );
    expect(read).toBe('kept from it');

    // A form is not subject to CORS.
    const sent = page.waitForResponse((response) => response.request().method() === 'POST');
    await page.evaluate(
      ([url, body]) => {
        const form = document.createElement('form');
        form.method = 'post';
        form.enctype = 'text/plain';
        form.action = url!;
        const field = document.createElement('input');
        // Reads as JSON: {"pipeline": …, "ignored": "="}
        field.name = `${body!.slice(0, -1)},"ignored":"`;
        field.value = '"}';
        form.append(field);
        document.body.append(form);
        form.submit();
      },
      [`${server.base}/api/v1/runs`, body],
    );
    expect((await sent).status()).toBe(403);
  } finally {
    site.closeAllConnections();
    site.close();
  }
  expect(await api.runs()).toEqual([]);
  expect(project.lines('starts')).toEqual([]);
});
