import { readFileSync } from 'node:fs';
import { Berth } from './berth.js';

/** The berths of a harbour file such as data/harbour.json. */
export function readHarbour(path) {
  const { name, berths } = JSON.parse(readFileSync(path, 'utf8'));
  const names = new Set();
  for (const berth of berths) {
    if (names.has(berth.name)) throw new Error(`${path}: two berths are called ${berth.name}`);
    names.add(berth.name);
  }
  return { name, berths: berths.map((berth) => new Berth(berth)) };
}
