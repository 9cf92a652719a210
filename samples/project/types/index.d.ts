/** A day such as `2026-05-14`. */
export type Day = string;

/** Lengths are in centimetres. */
export interface Boat {
  name: string;
  length: number;
  beam: number;
  draught: number;
  bilgeKeel?: boolean;
}

/** The night of `to` is not part of it. */
export interface Stay {
  from: Day;
  to: Day;
}

export interface Request extends Stay {
  boat: Boat;
  party?: string;
}

export interface Plan {
  placed: { request: Request; berth: Berth }[];
  refused: { request: Request; reason: string }[];
}

export class Berth {
  readonly name: string;
  waterOn(date: Day): number;
  closedOn(date: Day): string | undefined;
}

export function plan(berths: Berth[], requests: Request[]): Plan;
export function fits(berth: Berth, boat: Boat, stay: Stay): string | undefined;
export function feeFor(boat: Boat, stay: Stay): number;
export function parseRequests(text: string): Request[];
