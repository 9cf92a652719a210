// The JSON API of the contract, typed.
import { expect } from '@playwright/test';

export type Status = 'pending' | 'running' | 'completed' | 'failed' | 'cancelled' | 'interrupted';

export interface Phase {
  name: string;
  state: 'pending' | 'started' | 'completed' | 'failed' | 'skipped';
}

export interface Run {
  id: string;
  pipeline: string;
  status: Status;
  phase: string | null;
  attempt: number;
  params: Record<string, unknown>;
  created_at: string;
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
  head: number;
  phases: Phase[];
  error: string | null;
  approval: { seq: number; question: string } | null;
  pinned: boolean;
}

export interface Frame {
  seq: number;
  ts: string;
  attempt: number;
  phase: string | null;
  kind: string;
  data: Record<string, unknown>;
}

export interface Problem {
  code: string;
  title: string;
  status: number;
  detail: string;
  retryable: boolean;
  errors?: { param: string; code: string; message: string }[];
}

interface Frames {
  frames: Frame[];
  head: number;
  status: Status;
  active: boolean;
}

/** A problem response. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(`${status} ${problem.code}: ${problem.detail}`);
  }
}

/** The line of a log frame. */
export function lineOf(frame: Frame): string | undefined {
  return frame.kind === 'log' ? String(frame.data['line']) : undefined;
}

export class Api {
  constructor(
    readonly base: string,
    readonly token?: string,
  ) {}

  async #call<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.base}${path}`, {
      method,
      headers: {
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Refused(answer.status, JSON.parse(text) as Problem);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async pipelines(): Promise<{ name: string }[]> {
    const answer = await this.#call<{ name: string }[] | { pipelines: { name: string }[] }>('GET', '/api/v1/pipelines');
    return Array.isArray(answer) ? answer : answer.pipelines;
  }

  start(pipeline: string, params: Record<string, unknown>): Promise<Run> {
    return this.#call('POST', '/api/v1/runs', { pipeline, params });
  }

  run(id: string): Promise<Run> {
    return this.#call('GET', `/api/v1/runs/${id}`);
  }

  async runs(): Promise<Run[]> {
    return (await this.#call<{ runs: Run[] }>('GET', '/api/v1/runs?limit=200')).runs;
  }

  /** Requests another attempt, by default with the same parameters and from the beginning. */
  rerun(id: string, how: { from?: 'start' | 'failed'; params?: Record<string, unknown> } = {}): Promise<Run> {
    return this.#call('POST', `/api/v1/runs/${id}/rerun`, how);
  }

  async approve(id: string): Promise<void> {
    await this.#call('POST', `/api/v1/runs/${id}/approve`, {});
  }

  createToken(name: string, role: string): Promise<{ token: string }> {
    return this.#call('POST', '/api/v1/tokens', { name, role });
  }

  async cancel(id: string): Promise<void> {
    await this.#call('POST', `/api/v1/runs/${id}/cancel`, {});
  }

  /** The whole journal. */
  async frames(id: string): Promise<Frame[]> {
    const all: Frame[] = [];
    for (;;) {
      const page = await this.#call<Frames>('GET', `/api/v1/runs/${id}/frames?after=${all.length}&limit=5000`);
      all.push(...page.frames);
      if (page.frames.length === 0 || all.length >= page.head) break;
    }
    expect(
      all.every((frame, index) => frame.seq === index + 1),
      'the journal counts 1, 2, 3 … without a gap',
    ).toBe(true);
    return all;
  }

  /** Waits until the run has this status. Returns the run. */
  async reaches(id: string, status: Status, timeout = 30_000): Promise<Run> {
    let run = await this.run(id);
    await expect
      .poll(async () => (run = await this.run(id)).status, { message: `run is ${status}`, timeout, intervals: [50, 100] })
      .toBe(status);
    return run;
  }

  /** Waits until this line is committed. Returns its seq. */
  async printed(id: string, line: string, timeout = 30_000): Promise<number> {
    let seq = 0;
    await expect
      .poll(
        async () => {
          seq = (await this.frames(id)).find((frame) => lineOf(frame) === line)?.seq ?? 0;
          return seq;
        },
        { message: `the line “${line}” is committed`, timeout, intervals: [50, 100] },
      )
      .toBeGreaterThan(0);
    return seq;
  }
}
