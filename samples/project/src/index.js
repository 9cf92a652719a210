export { Berth, fits } from './berth.js';
export { parseRequests } from './csv.js';
export { days, nights, overlaps } from './dates.js';
export { feeFor } from './fees.js';
export { plan } from './planner.js';
export { levelAt, lowestOn } from './tide.js';
export { formatLength, formatMoney, parseLength } from './units.js';
