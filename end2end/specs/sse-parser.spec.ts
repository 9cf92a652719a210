// The stream, read by an independent parser at every split: it must carry the same frames as polling. No browser.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect, test as base } from '@playwright/test';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type Frame, lineOf } from '../support/api.ts';
import { waitFor } from '../support/project.ts';
import { Server } from '../support/server.ts';

const test = base.extend<{ server: Server }>({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.dispose();
  },
});

/** Lines that a command prints. */
const LINES = [
  'data: forged',
  'id: 999999',
  'event: end',
  'retry: 1',
  ': comment',
  '',
  ' leading and trailing ',
  'a NUL \0 and other controls \u0001\u0007\u001b[31m\u007f\u001b[0m\u0085',
  '\ufeffa byte order mark, and another \ufeff',
  'line separators \u2028 and \u2029',
  '"quotes", \\backslashes\\, \\n \\ud800 and </script>',
  'beyond the first plane 🧨, combined e\u0301, right to left \u202e',
];

/** Invalid UTF-8: a lone surrogate, half a character, bytes that never occur. */
const NOT_UTF8 = Buffer.from([0xed, 0xa0, 0x80, 0x20, 0xf0, 0x9f, 0xa7, 0x20, 0xff, 0xc0, 0x0a]);

/** A report with a lone surrogate as a JSON escape, and a valid one. */
const REPORTS = [
  '::frame {"kind":"token","text":"\\ud800"}',
  '::frame {"kind":"token","text":"\\ud83e\\udde8\\r\\n\\u0000\\u2028data: x\\n\\n"}',
];

/** The content of a stream as the parser reports it. */
interface Carried {
  events: EventSourceMessage[];
  retry: number | undefined;
}

/** Feeds the parser chunks of these sizes. A chunk may end inside a character. */
function parse(bytes: Uint8Array, size: () => number): Carried {
  const carried: Carried = { events: [], retry: undefined };
  const parser = createParser({
    onEvent: (event) => carried.events.push(event),
    onRetry: (retry) => (carried.retry = retry),
    onError: (error) => {
      throw error;
    },
  });
  const decoder = new TextDecoder();
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + size());
    parser.feed(decoder.decode(bytes.subarray(at, end), { stream: true }));
    at = end;
  }
  return carried;
}

/** Reads a stream to its end. */
async function stream(server: Server, path: string): Promise<Uint8Array> {
  const answer = await fetch(`${server.base}${path}`);
  expect(answer.status).toBe(200);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Expects every frame once and in order, between `ready` and `end`. `run` is set for a stream of several runs. */
function expectCarried({ events, retry }: Carried, journal: Frame[], run?: string): void {
  const named = run === undefined ? '' : `${run}:`;
  const names = run === undefined ? {} : { run };
  expect(retry).toBe(3000);
  const frames = events.filter((event) => event.event === undefined);
  const own = events.filter((event) => event.event !== undefined && event.event !== 'heartbeat');
  expect(own.map((event) => event.event)).toEqual(['ready', 'end']);
  expect(events[0]?.event).toBe('ready');
  expect(events.at(-1)?.event).toBe('end');
  expect(frames.map((event) => event.id)).toEqual(journal.map((frame) => `${named}${frame.seq}`));
  expect(frames.map((event) => JSON.parse(event.data))).toEqual(journal.map((frame) => ({ ...names, ...frame })));
}

test('stream is readable by another parser, split at every byte', async ({ server }) => {
  const { project, api } = server;
  const bytes = Buffer.concat([
    ...LINES.flatMap((line, index) => [Buffer.from(line), Buffer.from(index % 2 === 0 ? '\n' : '\r\n')]),
    NOT_UTF8,
    Buffer.from(`overwritten\rkept over\n${REPORTS.join('\n')}\nthe end has no line end`),
  ]);
  writeFileSync(join(project.path, 'bytes'), bytes);
  await server.pipeline({
    name: 'bytes',
    phases: { print: `cat "$RUNTRAIL_PARAM_PROJECT/bytes"\n${waitFor('again')}\ncat "$RUNTRAIL_PARAM_PROJECT/bytes"` },
  });
  const id = await server.run('bytes');
  // One stream that is open while the second half is printed, and one that is opened afterwards.
  const live = stream(server, `/runs/${id}/events`);
  const many = stream(server, `/events?run=${id}:0`);
  await api.printed(id, 'the end has no line end');
  project.release('again');
  await api.reaches(id, 'completed');
  const journal = await api.frames(id);

  const printed = journal.map(lineOf).filter((line) => line !== undefined);
  const expected = [...LINES, '\ufffd\ufffd\ufffd \ufffd \ufffd\ufffd', 'kept overen', REPORTS[0]!, 'the end has no line end'];
  expect(printed).toEqual([...expected, ...expected]);
  const tokens = journal.filter((frame) => frame.kind === 'token').map((frame) => frame.data['text']);
  expect(tokens).toEqual(Array(2).fill('🧨\r\n\0\u2028data: x\n\n'));

  for (const sent of [await live, await stream(server, `/runs/${id}/events`)]) {
    expectCarried(parse(sent, () => sent.length), journal);
    expectCarried(parse(sent, () => 1), journal);
  }
  const ofMany = await many;
  expectCarried(parse(ofMany, () => 1), journal, id);
  // Split in two at every byte, over the second half.
  const middle = journal.findLastIndex((frame) => lineOf(frame) === LINES[0]);
  const sent = await stream(server, `/runs/${id}/events?after=${middle}`);
  const whole = parse(sent, () => sent.length);
  expectCarried(whole, journal.slice(middle));
  for (let at = 1; at < sent.length; at += 1) {
    let size = at;
    const halves = parse(sent, () => {
      const now = size;
      size = sent.length;
      return now;
    });
    expect(isDeepStrictEqual(halves, whole), `split after ${at} bytes`).toBe(true);
  }
});

test('stream of a 10 MB line is readable in pieces of any size', async ({ server }) => {
  const { project, api } = server;
  const line = '"é🧨\\\0'.repeat(1_000_000);
  writeFileSync(join(project.path, 'line'), `${line}\n`);
  await server.pipeline({ name: 'line', phases: { print: 'cat "$RUNTRAIL_PARAM_PROJECT/line"' } });
  const id = await server.run('line');
  const live = stream(server, `/runs/${id}/events`);
  await api.reaches(id, 'completed');
  const journal = await api.frames(id);
  expect(journal.map((frame) => lineOf(frame) ?? '').join('') === line, 'the pieces make up the line').toBe(true);
  for (const sent of [await live, await stream(server, `/runs/${id}/events`)]) {
    for (const most of [64, 4096, 1 << 20]) {
      expectCarried(parse(sent, () => 1 + Math.floor(Math.random() * most)), journal);
    }
  }
});
