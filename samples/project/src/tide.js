// Two constituents are enough for a harbour that only asks "does it fall dry?". tools/fit_tide.py fits them.

const HOUR = 3_600_000;

/** Mean level and constituents of the gauge on the north pier, in centimetres above chart datum. */
export const NORTH_PIER = {
  mean: 212,
  constituents: [
    { name: 'M2', amplitude: 148, period: 12.4206, phase: 1.93 },
    { name: 'S2', amplitude: 47, period: 12, phase: 0.61 },
  ],
};

/** The level at a moment (milliseconds since 1970), in centimetres above chart datum. */
export function levelAt(ms, station = NORTH_PIER) {
  const hours = ms / HOUR;
  return station.constituents.reduce(
    (level, { amplitude, period, phase }) => level + amplitude * Math.cos((2 * Math.PI * hours) / period - phase),
    station.mean,
  );
}

/** The lowest level of a day, looked at every ten minutes. */
export function lowestOn(date, station = NORTH_PIER) {
  const start = Date.parse(`${date}T00:00:00Z`);
  let lowest = Infinity;
  for (let step = 0; step < 144; step += 1) {
    lowest = Math.min(lowest, levelAt(start + (step * HOUR) / 6, station));
  }
  return Math.round(lowest);
}
