import type { Day, Plan } from '../types/index.js';

interface Row {
  berth: string;
  boat: string;
  until: Day;
  water: number;
}

const SHALLOW = 120;

/** One row for each berth that is taken on this day. */
export function rows(plan: Plan, today: Day): Row[] {
  return plan.placed
    .filter(({ request }) => request.from <= today && today < request.to)
    .map(({ request, berth }) => ({
      berth: berth.name,
      boat: request.boat.name,
      until: request.to,
      water: berth.waterOn(today),
    }))
    .sort((a, b) => a.berth.localeCompare(b.berth));
}

/** Writes the rows into the page. Names are text: a boat may be called <b>. */
export function show(body: HTMLTableSectionElement, list: Row[]): void {
  body.replaceChildren(
    ...list.map(({ berth, boat, until, water }) => {
      const row = document.createElement('tr');
      for (const text of [berth, boat, until]) row.insertCell().textContent = text;
      const cell = row.insertCell();
      cell.textContent = `${(water / 100).toFixed(1)} m`;
      cell.classList.toggle('shallow', water < SHALLOW);
      return row;
    }),
  );
}
