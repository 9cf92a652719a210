// What the kernel says about processes. Linux only, as is the server's guarantee about its children.
import { readFileSync, readdirSync } from 'node:fs';

/** One process that runs now. */
export interface Process {
  pid: number;
  /** Its process group. */
  group: number;
  command: string;
}

/** State letter and process group from `/proc/{pid}/stat`; the name before them may hold spaces and brackets. */
function stat(pid: number): { state: string; group: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', , group = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, group: Number(group) };
  } catch {
    return undefined;
  }
}

/** Whether the process still runs. A dead one that nobody has waited for yet (a zombie) does not. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
  const found = stat(pid);
  return found !== undefined && !['Z', 'X'].includes(found.state);
}

/** Every process whose environment has exactly this value. */
export function processesWith(name: string, value: string): Process[] {
  const found: Process[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (!environment.includes(`${name}=${value}`) || !alive(pid)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
      const group = stat(pid)?.group;
      // Undefined if it ended while we looked.
      if (group !== undefined) found.push({ pid, group, command });
    } catch {
      // It ended while we looked, or is not ours to look at.
    }
  }
  return found;
}
