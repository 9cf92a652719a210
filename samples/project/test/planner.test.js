import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Berth, overlaps, parseRequests, plan } from '../src/index.js';
import { readHarbour } from '../src/harbour.js';

const at = (path) => new URL(path, import.meta.url);
const { berths } = readHarbour(at('../data/harbour.json'));
const requests = parseRequests(readFileSync(at('../data/requests.csv'), 'utf8'));
const summary = ({ placed }) => placed.map(({ request, berth }) => `${berth.name} ${request.boat.name}`).sort();

describe('planner', () => {
  it('gives every request an answer', () => {
    const { placed, refused } = plan(berths, requests);
    assert.equal(placed.length + refused.length, requests.length);
    assert.ok(refused.every(({ reason }) => reason.length > 0));
  });

  it('never gives one berth to two boats in one night', () => {
    const { placed } = plan(berths, requests);
    for (const [index, a] of placed.entries()) {
      for (const b of placed.slice(index + 1)) {
        assert.ok(a.berth !== b.berth || !overlaps(a.request, b.request), `${a.request.boat.name}, ${b.request.boat.name}`);
      }
    }
  });

  it('plans the same whatever the order of the requests', () => {
    assert.deepEqual(summary(plan(berths, [...requests].reverse())), summary(plan(berths, requests)));
  });

  it('keeps closed berths free', () => {
    const { placed } = plan(berths, requests);
    assert.ok(placed.every(({ berth }) => berth.name !== 'N4'));
  });

  it('says why there is no berth', () => {
    const small = new Berth({ name: 'X', length: 500, beam: 200, depth: 500 });
    const [boat] = requests;
    assert.equal(plan([small], [boat]).refused[0].reason, 'too long');
    assert.equal(plan([], [boat]).refused[0].reason, 'the harbour has no berths');
    assert.match(plan(berths, [{ ...boat, to: boat.from }]).refused[0].reason, /before it has stayed a night/);
  });
});
