// How many nights each berth is taken in a season.
import { readFileSync } from 'node:fs';
import { days, parseRequests, planSeason } from '../src/index.js';
import { readHarbour } from '../src/harbour.js';

const at = (path) => new URL(path, import.meta.url);
const { berths } = readHarbour(at('../data/harbour.json'));
const season = planSeason(berths, parseRequests(readFileSync(at('../data/requests.csv'), 'utf8')));
for (const { request, berth } of season.placed) {
  console.log(berth.name, '#'.repeat(days(request.from, request.to).length));
}
