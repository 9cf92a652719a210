// Processes, from /proc. Linux only.
import { readFileSync, readdirSync } from 'node:fs';

export interface Process {
  pid: number;
  /** Its process group. */
  group: number;
  command: string;
}

/** State and process group from `/proc/{pid}/stat`. The name before them may contain spaces and brackets. */
function stat(pid: number): { state: string; group: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', , group = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, group: Number(group) };
  } catch {
    return undefined;
  }
}

/** Whether the process is running. A zombie is not. */
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

/** The processes with this variable in their environment. */
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
      // Undefined if the process has just ended.
      if (group !== undefined) found.push({ pid, group, command });
    } catch {
      // The process has just ended, or belongs to another user.
    }
  }
  return found;
}
