#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseRequests } from './csv.js';
import { feeFor } from './fees.js';
import { readHarbour } from './harbour.js';
import { plan } from './planner.js';
import { formatLength, formatMoney } from './units.js';

const HARBOUR = fileURLToPath(new URL('../data/harbour.json', import.meta.url));

const commands = {
  plan(file) {
    const { name, berths } = readHarbour(HARBOUR);
    const { placed, refused } = plan(berths, parseRequests(readFileSync(file, 'utf8')));
    console.log(`${name}: ${placed.length} boats placed, ${refused.length} refused\n`);
    for (const { request, berth } of placed) {
      const fee = formatMoney(feeFor(request.boat, request));
      console.log(`${berth.name.padEnd(4)} ${request.boat.name.padEnd(18)} ${request.from} – ${request.to} ${fee.padStart(10)}`);
    }
    for (const { request, reason } of refused) {
      console.log(`  –  ${request.boat.name.padEnd(18)} ${reason}`);
    }
  },

  water(date, berthName) {
    const { berths } = readHarbour(HARBOUR);
    const berth = berths.find(({ name }) => name === berthName);
    if (!berth) throw new Error(`there is no berth ${berthName}`);
    console.log(`${berth.name} on ${date}: at least ${formatLength(berth.waterOn(date))}`);
  },
};

const [command, ...args] = process.argv.slice(2);
if (!Object.hasOwn(commands, command ?? '') || args.length !== commands[command].length) {
  console.error('usage: moorings plan REQUESTS.csv | moorings water DATE BERTH');
  process.exitCode = 2;
} else {
  try {
    commands[command](...args);
  } catch (error) {
    console.error(`moorings: ${error.message}`);
    process.exitCode = 1;
  }
}
