// A real nginx in front of the server, with its usual settings, which serves it below a path.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@playwright/test';

/** `scripts/test.sh` sets the path; `scripts/setup.sh test` unpacks the program. */
function program(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const unpacked = join(process.env['RUNTRAIL_TOOLS'] || join(cache, 'runtrail/tools'), 'proxies/usr/sbin/nginx');
  return process.env['RUNTRAIL_TEST_NGINX'] || (existsSync(unpacked) ? unpacked : 'nginx');
}

export class Nginx {
  readonly #folder = mkdtempSync(join(tmpdir(), 'runtrail-nginx-'));
  readonly #process: ChildProcess;

  private constructor(
    readonly port: number,
    locations: Record<string, string>,
  ) {
    // If root starts it, its workers run as another user, who buffers responses there.
    chmodSync(this.#folder, 0o755);
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${this.#folder}/${kind};`);
    const places = Object.entries(locations).map(([path, to]) => `location ${path} { proxy_pass ${to}; }`);
    const file = join(this.#folder, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; pid ${this.#folder}/pid; error_log ${this.#folder}/error.log;\nevents {}\n` +
        `http { access_log off; ${temp.join(' ')}\nserver { listen 127.0.0.1:${port};\n${places.join('\n')}\n} }\n`,
    );
    const log = ['-e', join(this.#folder, 'first.log')];
    this.#process = spawn(program(), ['-p', this.#folder, ...log, '-c', file], { stdio: 'ignore' });
  }

  /** Serves each path from that address, as `proxy_pass` takes it. */
  static async start(port: number, locations: Record<string, string>): Promise<Nginx> {
    const nginx = new Nginx(port, locations);
    const [first] = Object.keys(locations);
    await expect
      .poll(() => fetch(`http://127.0.0.1:${port}${first}healthz`).then((answer) => answer.status, () => 0), {
        message: 'nginx serves',
      })
      .toBe(200);
    return nginx;
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((done) => this.#process.once('exit', () => done()));
    this.#process.kill('SIGTERM');
    await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
