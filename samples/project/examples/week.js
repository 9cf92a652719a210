// The plan of one week, as a table.
import { readFileSync } from 'node:fs';
import { parseRequests, plan } from '../src/index.js';
import { readHarbour } from '../src/harbour.js';

const at = (path) => new URL(path, import.meta.url);
const { berths } = readHarbour(at('../data/harbour.json'));
const { placed } = plan(berths, parseRequests(readFileSync(at('../data/requests.csv'), 'utf8')));
console.table(placed.map(({ request, berth }) => ({ berth: berth.name, boat: request.boat.name, from: request.from, to: request.to })));
