// The folder a test's runs work in, and the signals between a test and a run's commands: files in that folder.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@playwright/test';

/** A git project with one commit. */
export class Project {
  constructor(readonly path: string) {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'README.md'), '# Sample\n');
    writeFileSync(join(path, 'main.rs'), 'fn main() {}\n');
    this.git('init', '-q');
    this.commit({});
  }

  /** What git prints. */
  git(...args: string[]): string {
    return execFileSync('git', ['-C', this.path, '-c', 'user.name=Test', '-c', 'user.email=test@localhost', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Writes these files and commits all there is. */
  commit(files: Record<string, string>): void {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.path, file), text);
    this.git('add', '.');
    this.git('commit', '-q', '-m', 'Sample');
  }

  /** Lets a command go on that stands at `waitFor(name)`. */
  release(name: string): void {
    writeFileSync(join(this.path, name), '');
  }

  /** The lines of a file that commands write; none if it is not there. */
  lines(name: string): string[] {
    const file = join(this.path, name);
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8').split('\n').filter((line) => line !== '');
  }

  /** The process id a command wrote into the file, once it has. */
  async pid(name: string): Promise<number> {
    await expect.poll(() => this.lines(name).length, { message: `${name} is written` }).toBe(1);
    const pid = Number(this.lines(name)[0]);
    expect(pid, `the process id in ${name}`).toBeGreaterThan(1);
    return pid;
  }
}

// Pieces of shell for a phase's command. A run is given the project as its parameter `project`.

/** Waits until the test releases this name; ends if the test is gone and its folder with it. */
export const waitFor = (name: string): string =>
  `while [ ! -e "$RUNTRAIL_PARAM_PROJECT/${name}" ]; do [ -d "$RUNTRAIL_PARAM_PROJECT" ] || exit 9; sleep 0.05; done`;

/** Notes in the file `starts` that this phase's command was started: attempt and phase. */
export const noteStart = 'echo "$RUNTRAIL_ATTEMPT $RUNTRAIL_PHASE" >> "$RUNTRAIL_PARAM_PROJECT/starts"';

/** Prints `{text} {from}` to `{text} {to}`, as fast as it can. */
export const print = (text: string, from: number, to: number): string => `seq -f '${text} %g' ${from} ${to}`;

/** Prints ten lines, `{name} 1` to `{name} 10`, for each name that the test releases, in this order. */
export const blocks = (...names: string[]): string =>
  names.map((name) => `${waitFor(name)}\n${print(name, 1, 10)}`).join('\n');
