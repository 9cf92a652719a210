import { fits } from './berth.js';
import { nights, overlaps } from './dates.js';

/**
 * Gives every request a berth, or a reason why there is none.
 *
 * Long boats first, since they have the fewest berths to choose from; each takes the smallest berth that fits. Ties are
 * broken by name, so the same requests give the same plan in any order.
 */
export function plan(berths, requests) {
  const bySize = [...berths].sort((a, b) => a.length - b.length || a.beam - b.beam || compare(a.name, b.name));
  const order = [...requests].sort(
    (a, b) => b.boat.length - a.boat.length || compare(a.boat.name, b.boat.name) || compare(a.from, b.from),
  );
  const placed = [];
  const refused = [];
  for (const request of order) {
    if (nights(request.from, request.to) < 1) {
      refused.push({ request, reason: 'it leaves before it has stayed a night' });
      continue;
    }
    const reasons = new Map();
    const berth = bySize.find((candidate) => {
      const taken = placed.some((other) => other.berth === candidate && overlaps(other.request, request));
      const reason = fits(candidate, request.boat, request) ?? (taken ? 'taken' : undefined);
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      return !reason;
    });
    if (berth) placed.push({ request, berth });
    else refused.push({ request, reason: mostFrequent(reasons) });
  }
  // TODO: rafting. Boats of one party may lie side by side where the berth allows it.
  return { placed, refused };
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function mostFrequent(reasons) {
  const [first] = [...reasons].sort((a, b) => b[1] - a[1] || compare(a[0], b[0]));
  return first?.[0] ?? 'the harbour has no berths';
}
