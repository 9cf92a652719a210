// The project folder of a test's runs. Files in it are signals between the test and the commands.
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

  /** Runs git and returns its output. */
  git(...args: string[]): string {
    return execFileSync('git', ['-C', this.path, '-c', 'user.name=Test', '-c', 'user.email=test@localhost', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Writes these files and commits everything. */
  commit(files: Record<string, string>): void {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.path, file), text);
    this.git('add', '.');
    this.git('commit', '-q', '-m', 'Sample');
  }

  /** Releases a command that waits at `waitFor(name)`. */
  release(name: string): void {
    writeFileSync(join(this.path, name), '');
  }

  /** The lines of a file that commands write; none if it does not exist. */
  lines(name: string): string[] {
    const file = join(this.path, name);
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8').split('\n').filter((line) => line !== '');
  }

  /** Waits for the process id that a command writes into the file. */
  async pid(name: string): Promise<number> {
    await expect.poll(() => this.lines(name).length, { message: `${name} is written` }).toBe(1);
    const pid = Number(this.lines(name)[0]);
    expect(pid, `the process id in ${name}`).toBeGreaterThan(1);
    return pid;
  }
}

// Shell snippets for commands. Runs get the project as the parameter `project`.

/** Waits until the test releases this name. Ends if the test has removed its folder. */
export const waitFor = (name: string): string =>
  `while [ ! -e "$RUNTRAIL_PARAM_PROJECT/${name}" ]; do [ -d "$RUNTRAIL_PARAM_PROJECT" ] || exit 9; sleep 0.05; done`;

/** Appends attempt and phase to the file `starts`. */
export const noteStart = 'echo "$RUNTRAIL_ATTEMPT $RUNTRAIL_PHASE" >> "$RUNTRAIL_PARAM_PROJECT/starts"';

/** Prints `{text} {from}` to `{text} {to}`, as fast as it can. */
export const print = (text: string, from: number, to: number): string => `seq -f '${text} %g' ${from} ${to}`;

/** Prints ten lines, `{name} 1` to `{name} 10`, for each name that the test releases, in this order. */
export const blocks = (...names: string[]): string =>
  names.map((name) => `${waitFor(name)}\n${print(name, 1, 10)}`).join('\n');
