import { days } from './dates.js';
import { lowestOn } from './tide.js';

/** Water that must remain under a keel, in centimetres. */
export const CLEARANCE = 30;

export class Berth {
  constructor({ name, length, beam, depth, dries = false, closed = [] }) {
    this.name = name;
    /** The longest and the widest boat it takes, in centimetres. */
    this.length = length;
    this.beam = beam;
    /** How far its bottom lies below chart datum. */
    this.depth = depth;
    /** Boats that can sit on the ground may use it at any tide. */
    this.dries = dries;
    this.closed = closed;
  }

  /** The least water it has on a day. */
  waterOn(date) {
    return Math.max(0, lowestOn(date) + this.depth);
  }

  /** Why it cannot be used on a day, if it cannot. */
  closedOn(date) {
    return this.closed.find(({ from, to }) => from <= date && date < to)?.reason;
  }
}

/** Why a boat cannot lie there for its stay; nothing if it can. */
export function fits(berth, boat, stay) {
  if (boat.length > berth.length) return 'too long';
  if (boat.beam > berth.beam) return 'too wide';
  for (const date of days(stay.from, stay.to)) {
    const reason = berth.closedOn(date);
    if (reason) return `closed on ${date}: ${reason}`;
    const sits = berth.dries && boat.bilgeKeel;
    if (!sits && berth.waterOn(date) < boat.draught + CLEARANCE) return `too little water on ${date}`;
  }
  return undefined;
}
