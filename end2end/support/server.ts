// A server: the release build on a free port, with folders of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from '@playwright/test';
import { Api } from './api.ts';
import { alive, type Process, processesWith } from './processes.ts';
import { Project, blocks } from './project.ts';

export const BINARY = resolve(
  process.env['RUNTRAIL_BIN'] || join(import.meta.dirname ?? '.', '../../target/release/runtrail'),
);

/** The options that tests vary. */
export interface ServerOptions {
  /** The number of parallel runs. */
  workers?: number;
  /** The duration of a lease, such as `2s`. */
  lease?: string;
  /** The interval of heartbeats. */
  heartbeat?: string;
  /** The interval of polls. */
  pollInterval?: string;
  /** The token, if the test sets one. */
  token?: string;
  /** Whether it requires the token that it creates. */
  guarded?: boolean;
  /** The grace period before a command is killed. */
  grace?: string;
  /** The public address. */
  publicUrl?: string;
}

export interface ParamSpec {
  name: string;
  type: 'path' | 'string' | 'text' | 'secret' | 'integer' | 'boolean' | 'choice';
  required?: boolean;
  default?: string | number | boolean;
  choices?: string[];
}

/** A pipeline. */
export interface PipelineSpec {
  name: string;
  title?: string;
  /** By default `project`, a required path. */
  params?: ParamSpec[];
  /** Name and shell command of each phase, in order. */
  phases: Record<string, string>;
  /** Further top-level lines. */
  head?: string;
  /** Further lines at the end of the file. */
  more?: string;
  /** Receivers of notifications. */
  notify?: string[];
}

const PROJECT_PARAM: ParamSpec = { name: 'project', type: 'path', required: true };

/** The pipeline as TOML, in which JSON strings, numbers and lists are valid. */
export function toml(spec: PipelineSpec): string {
  const out = [`name = ${JSON.stringify(spec.name)}`, `title = ${JSON.stringify(spec.title ?? spec.name)}`];
  if (spec.head) out.push(spec.head);
  for (const param of spec.params ?? [PROJECT_PARAM]) {
    out.push('', '[[params]]');
    for (const [key, value] of Object.entries(param)) out.push(`${key} = ${JSON.stringify(value)}`);
  }
  for (const [name, run] of Object.entries(spec.phases)) {
    if (run.includes("'''")) throw new Error(`the command of ${name} cannot be written as a TOML literal`);
    out.push('', '[[phases]]', `name = ${JSON.stringify(name)}`, `run = '''\n${run}\n'''`);
  }
  if (spec.more) out.push('', spec.more);
  for (const url of spec.notify ?? []) out.push('', '[[notify]]', `url = ${JSON.stringify(url)}`);
  return `${out.join('\n')}\n`;
}

/** The address in a line such as `Runtrail serves http://127.0.0.1:3000`. */
export function addressIn(line: string): { host: string; port: number } | undefined {
  const found = /\bhttps?:\/\/([\w.-]+|\[[0-9a-f:]+\]):(\d+)/i.exec(line) ?? /\b(127\.0\.0\.1):(\d+)\b/.exec(line);
  return found ? { host: found[1]!, port: Number(found[2]) } : undefined;
}

/** A free port below the ephemeral range, so that it stays free over a restart. */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const free = await new Promise<boolean>((done) => {
      const listener = createServer();
      listener.once('error', () => done(false));
      listener.listen(port, '127.0.0.1', () => listener.close(() => done(true)));
    });
    if (free) return port;
  }
}

export class Server {
  readonly root = mkdtempSync(join(tmpdir(), 'runtrail-end2end-'));
  readonly project = new Project(join(this.root, 'project'));
  readonly #pipelines = join(this.root, 'pipelines');
  readonly #log: string[] = [];
  readonly #options: ServerOptions;
  #process: ChildProcess | undefined;
  #port = 0;

  private constructor(options: ServerOptions) {
    this.#options = options;
    mkdirSync(this.#pipelines);
  }

  static async start(options: ServerOptions = {}): Promise<Server> {
    const server = new Server(options);
    try {
      server.#port = await steadyPort();
      await server.restart();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get base(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get api(): Api {
    const own = () => readFileSync(join(this.root, 'data', 'token'), 'utf8').trim();
    return new Api(this.base, this.#options.guarded ? own() : this.#options.token);
  }

  /** The last login link printed. */
  get loginLink(): string {
    const printed = this.#log.filter((line) => line.includes('/login#')).at(-1);
    if (!printed) throw new Error(`no login link was printed:\n${this.log}`);
    return /http\S+$/.exec(printed)![0];
  }

  /** Creates a token. Returns its secret. */
  async createToken(name: string, role: string): Promise<string> {
    return (await this.api.createToken(name, role)).token;
  }

  /** Its output. */
  get log(): string {
    return this.#log.join('\n');
  }

  /** Starts it on the same port with the same data. */
  async restart(): Promise<void> {
    if (this.#process) throw new Error('the server runs already');
    const { workers = 4, lease = '10s', pollInterval = '500ms', heartbeat = '15s', grace = '2s' } = this.#options;
    // The environment of the tests must not affect the server.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('RUNTRAIL_') && name !== 'DATABASE_URL'),
    );
    const { publicUrl } = this.#options;
    if (this.#options.token !== undefined) env['RUNTRAIL_TOKEN'] = this.#options.token;
    else if (!this.#options.guarded) env['RUNTRAIL_NO_TOKEN'] = '1';
    const child = spawn(
      BINARY,
      [
        'serve',
        ...['--addr', `127.0.0.1:${this.#port}`],
        ...['--data-dir', join(this.root, 'data')],
        ...['--pipelines', this.#pipelines],
        ...['--projects', this.project.path],
        ...['--workers', String(workers)],
        ...['--lease', lease],
        ...['--poll-interval', pollInterval],
        ...['--heartbeat', heartbeat],
        ...['--grace', grace],
        // Tests kill a server to see what its runs become without it.
        ...['--handover', '0s'],
        ...(publicUrl === undefined ? [] : ['--public-url', publicUrl]),
      ],
      { cwd: this.root, env, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#process = child;
    child.once('exit', () => {
      if (this.#process === child) this.#process = undefined;
    });
    createInterface({ input: child.stderr! }).on('line', (line) => this.#log.push(`err ${line}`));
    const address = await new Promise<{ host: string; port: number }>((found, failed) => {
      const deadline = setTimeout(
        () => failed(new Error(`no line with an address after 20 s. It printed:\n${this.log}`)),
        20_000,
      );
      createInterface({ input: child.stdout! }).on('line', (line) => {
        this.#log.push(`out ${line}`);
        const address = addressIn(line);
        if (!address) return;
        clearTimeout(deadline);
        found(address);
      });
      child.once('error', (error) => {
        clearTimeout(deadline);
        this.#process = undefined;
        failed(new Error(`${BINARY} does not start: ${error.message}`));
      });
      child.once('close', (code, signal) => {
        clearTimeout(deadline);
        failed(new Error(`${BINARY} ended at once (${code ?? signal}). It printed:\n${this.log}`));
      });
    });
    if (address.port !== this.#port) throw new Error(`asked for port ${this.#port}, serves ${address.port}`);
  }

  /** Stops it with SIGTERM, and expects it to exit soon. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (!child) return;
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill('SIGTERM');
    const deadline = setTimeout(() => {
      this.#log.push('!!! still there 15 s after SIGTERM: killed');
      child.kill('SIGKILL');
    }, 15_000);
    await gone;
    clearTimeout(deadline);
    expect(child.signalCode, 'the server ends by itself after SIGTERM').not.toBe('SIGKILL');
  }

  /** Kills it with SIGKILL. */
  async kill9(): Promise<void> {
    const child = this.#process;
    if (!child) throw new Error('the server does not run');
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill('SIGKILL');
    await gone;
  }

  /** The processes of its runs. */
  children(): Process[] {
    return processesWith('RUNTRAIL_PARAM_PROJECT', this.project.path);
  }

  /** Writes or replaces a pipeline file, and waits until the server offers it. */
  async pipeline(spec: PipelineSpec): Promise<void> {
    const file = join(this.#pipelines, `${spec.name}.toml`);
    // Renamed, so that it is never read half written.
    writeFileSync(`${file}.part`, toml(spec));
    renameSync(`${file}.part`, file);
    await expect
      .poll(async () => (await this.api.pipelines()).map((pipeline) => pipeline.name), {
        message: `the pipeline ${spec.name} is offered`,
      })
      .toContain(spec.name);
  }

  /** Starts a run in the project. Returns its id. */
  async run(pipeline: string, params: Record<string, unknown> = {}): Promise<string> {
    const run = await this.api.start(pipeline, { project: this.project.path, ...params });
    return run.id;
  }

  /** Starts a run of these {@link blocks}. Returns its id. */
  async talk(...names: string[]): Promise<string> {
    await this.pipeline({ name: 'talk', phases: { talk: blocks(...names) } });
    const id = await this.run('talk');
    await this.api.reaches(id, 'running');
    return id;
  }

  /** Stops the server and removes its folders. Returns the processes of its runs that outlived it. */
  async dispose(): Promise<Process[]> {
    try {
      await this.stop();
      let left: Process[] = [];
      await expect
        .poll(() => (left = this.children()).length, { timeout: 20_000 })
        .toBe(0)
        .catch(() => left.forEach(({ pid }) => alive(pid) && process.kill(pid, 'SIGKILL')));
      return left;
    } finally {
      rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}
