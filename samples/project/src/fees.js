import { days } from './dates.js';

/** Cents per started metre and night. */
const RATE = 310;
const SUMMER_RATE = 420;
/** From the eighth night on. */
const LONG_STAY = 0.8;

/** What a stay costs, in cents. */
export function feeFor(boat, stay) {
  const metres = Math.ceil(boat.length / 100);
  return days(stay.from, stay.to).reduce((sum, date, night) => {
    const month = Number(date.slice(5, 7));
    // FIXME: the summer rate's first and last day belong in data/harbour.json, the council moves them each year.
    const rate = month >= 6 && month <= 8 ? SUMMER_RATE : RATE;
    return sum + Math.round(metres * rate * (night >= 7 ? LONG_STAY : 1));
  }, 0);
}
