// A reverse proxy between browser and server that injects faults. The server sees its own host and origin, so that only
// the faults differ from a direct connection.
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';

/** An incoming request. */
export interface Passing {
  method: string;
  path: string;
  /** Whether it requests a stream. */
  stream: boolean;
}

/**
 * What happens to requests for a stream: `refuse` answers 503, `busy` answers 429 with a Retry-After of five seconds,
 * `drop` closes the connection without an answer.
 */
export type StreamMode = 'pass' | 'refuse' | 'busy' | 'drop';

/** Replaces an event of a stream with any number of events. */
export type Tamper = (event: string) => string[];

const STREAM = /^\/(?:runs\/[^/]+\/)?events(?:\?|$)/;
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection', 'te']);

/** Requests or responses that are held until the test releases them. */
export class Hold {
  readonly #parked = new Set<() => void>();
  readonly #bytes: Buffer[] = [];
  #released = false;

  constructor(
    /** `request`: not sent to the server yet. `answer`: the response is not sent to the browser yet. */
    readonly what: 'request' | 'answer',
    readonly applies: (passing: Passing) => boolean,
  ) {}

  get active(): boolean {
    return !this.#released;
  }

  /** How many are held. */
  get waiting(): number {
    return this.#parked.size;
  }

  /** What the server has sent so far in held responses. */
  get answered(): string {
    return Buffer.concat(this.#bytes).toString('utf8');
  }

  /** Releases all, now and later. */
  release(): void {
    this.#released = true;
    for (const go of [...this.#parked]) go();
  }

  /** Waits for the release, or until the browser disconnects. */
  park(res: ServerResponse): Promise<void> {
    if (this.#released || res.destroyed) return Promise.resolve();
    return new Promise((done) => {
      const go = () => {
        this.#parked.delete(go);
        res.off('close', go);
        done();
      };
      this.#parked.add(go);
      res.once('close', go);
    });
  }

  keep(chunk: Buffer): void {
    this.#bytes.push(chunk);
  }
}

export class FaultProxy {
  readonly #server = createServer((req, res) => {
    this.#handle(req, res).catch(() => res.destroy());
  });
  readonly #agent = new Agent({ keepAlive: false });
  readonly #open = new Map<ServerResponse, Passing>();
  readonly #holds: Hold[] = [];
  #mode: StreamMode = 'pass';
  #away = false;
  #tamper: Tamper = (event) => [event];
  readonly #refused: number[] = [];

  private constructor(readonly upstream: number) {}

  /** In front of the server at this port. */
  static async start(upstream: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream);
    await new Promise<void>((done) => proxy.#server.listen(0, '127.0.0.1', done));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get base(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The number of open streams. */
  get openStreams(): number {
    return this.#open.size;
  }

  /** The number of open streams of this run. */
  streamsOf(run: string): () => number {
    return () => [...this.#open.values()].filter((passing) => passing.path.includes(run)).length;
  }

  /** When requests for a stream were refused or dropped, as `performance.now()`. */
  get streamsRefused(): readonly number[] {
    return this.#refused;
  }

  /** Makes requests for streams fail in this way, and cuts open streams. */
  block(mode: Exclude<StreamMode, 'pass'>): void {
    this.#mode = mode;
    this.cut();
  }

  /** Answers all requests with 503, as a proxy without its server, and cuts open streams. */
  goAway(): void {
    this.#away = true;
    this.cut();
  }

  /** Lets requests pass again. */
  unblock(): void {
    this.#mode = 'pass';
    this.#away = false;
  }

  /** Cuts open streams at this interval, until the function returned is called. */
  cutEvery(milliseconds: number): () => void {
    const timer = setInterval(() => this.cut(), milliseconds);
    return () => clearInterval(timer);
  }

  /** Cuts open streams. */
  cut(): void {
    for (const res of [...this.#open.keys()]) res.destroy();
  }

  /** Replaces the events of all streams, also of open ones. */
  tamper(how: Tamper): void {
    this.#tamper = how;
  }

  /** Holds the requests, or responses, that this applies to. */
  hold(what: 'request' | 'answer', applies: (passing: Passing) => boolean): Hold {
    const hold = new Hold(what, applies);
    this.#holds.push(hold);
    return hold;
  }

  /** Holds requests for streams, or their responses. */
  holdStreams(what: 'request' | 'answer'): Hold {
    return this.hold(what, (passing) => passing.stream);
  }

  async stop(): Promise<void> {
    for (const hold of this.#holds) hold.release();
    await new Promise<void>((done) => {
      this.#server.close(() => done());
      this.#server.closeAllConnections();
    });
    this.#agent.destroy();
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? '/';
    const passing: Passing = { method: req.method ?? 'GET', path, stream: STREAM.test(path) };
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);

    if (this.#away || (passing.stream && this.#mode !== 'pass')) {
      if (passing.stream) this.#refused.push(performance.now());
      if (this.#mode === 'drop') {
        res.destroy();
      } else {
        const busy = this.#mode === 'busy';
        const headers = { 'content-type': 'text/plain', 'cache-control': 'no-store' };
        res.writeHead(busy ? 429 : 503, busy ? { ...headers, 'retry-after': '5' } : headers);
        res.end('the test refuses this\n');
      }
      return;
    }
    const hold = this.#holds.find((each) => each.active && each.applies(passing));
    if (hold?.what === 'request') {
      await hold.park(res);
      if (res.destroyed) return;
    }
    await this.#forward(req, Buffer.concat(chunks), res, passing, hold?.what === 'answer' ? hold : undefined);
  }

  async #forward(
    req: IncomingMessage,
    body: Buffer,
    res: ServerResponse,
    passing: Passing,
    hold: Hold | undefined,
  ): Promise<void> {
    const there = `127.0.0.1:${this.upstream}`;
    const headers: string[] = [];
    for (let at = 0; at < req.rawHeaders.length; at += 2) {
      const name = req.rawHeaders[at]!;
      const value = req.rawHeaders[at + 1]!;
      const lower = name.toLowerCase();
      if (HOP_BY_HOP.has(lower)) continue;
      if (lower === 'host' && value === `127.0.0.1:${this.port}`) headers.push(name, there);
      else if (lower === 'origin' || lower === 'referer') headers.push(name, value.replace(this.base, `http://${there}`));
      else headers.push(name, value);
    }
    const sent = request({
      host: '127.0.0.1',
      port: this.upstream,
      method: passing.method,
      path: passing.path,
      headers,
      agent: this.#agent,
      setHost: false,
    });
    res.once('close', () => sent.destroy());
    const answer = await new Promise<IncomingMessage>((done, failed) => {
      sent.once('response', done);
      sent.once('error', failed);
      sent.end(body);
    });
    // If the server disconnects, so does the proxy.
    answer.once('aborted', () => res.destroy());
    answer.on('error', () => res.destroy());

    if (hold) {
      answer.on('data', (chunk: Buffer) => hold.keep(chunk));
      const early: Buffer[] = [];
      const collect = (chunk: Buffer) => early.push(chunk);
      answer.on('data', collect);
      await hold.park(res);
      if (res.destroyed) return;
      answer.off('data', collect);
      this.#begin(res, answer, passing);
      const way = this.#way(res, passing);
      for (const chunk of early) way.write(chunk);
      if (answer.readableEnded) way.end();
      else answer.pipe(way);
    } else {
      this.#begin(res, answer, passing);
      answer.pipe(this.#way(res, passing));
    }
  }

  /** The body on its way to the browser. Only the events of streams are tampered with. */
  #way(res: ServerResponse, passing: Passing): NodeJS.WritableStream {
    if (!passing.stream) return res;
    let rest = Buffer.alloc(0);
    const way = new Transform({
      transform: (chunk: Buffer, _, done) => {
        rest = Buffer.concat([rest, chunk]);
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          for (const event of this.#tamper(rest.subarray(0, end + 2).toString('utf8'))) way.push(event);
          rest = rest.subarray(end + 2);
        }
        done();
      },
      flush: (done) => done(null, rest),
    });
    way.pipe(res);
    return way;
  }

  #begin(res: ServerResponse, answer: IncomingMessage, passing: Passing): void {
    const headers: string[] = [];
    for (let at = 0; at < answer.rawHeaders.length; at += 2) {
      if (!HOP_BY_HOP.has(answer.rawHeaders[at]!.toLowerCase())) {
        headers.push(answer.rawHeaders[at]!, answer.rawHeaders[at + 1]!);
      }
    }
    res.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', headers);
    res.flushHeaders();
    if (passing.stream && answer.statusCode === 200) {
      this.#open.set(res, passing);
      res.once('close', () => this.#open.delete(res));
    }
  }
}
