// Dates are text such as 2026-05-14: harbour days have no time zone.

const DAY = 86_400_000;

/** Days since 1970, or an error that names the text. */
export function dayNumber(text) {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN;
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text) {
    throw new RangeError(`"${text}" is not a date such as 2026-05-14`);
  }
  return ms / DAY;
}

export function dateOf(dayNumber) {
  return new Date(dayNumber * DAY).toISOString().slice(0, 10);
}

/** How many nights a stay has: the day of leaving is not one. */
export function nights(from, to) {
  return dayNumber(to) - dayNumber(from);
}

/** Every day of a stay on which the boat lies overnight. */
export function days(from, to) {
  const first = dayNumber(from);
  return Array.from({ length: Math.max(0, nights(from, to)) }, (_, index) => dateOf(first + index));
}

/** Whether two stays want the same night. One may leave on the day the other comes. */
export function overlaps(a, b) {
  return dayNumber(a.from) < dayNumber(b.to) && dayNumber(b.from) < dayNumber(a.to);
}
