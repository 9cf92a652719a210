import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dayNumber, days, nights, overlaps } from '../src/dates.js';

describe('dates', () => {
  it('counts nights, not days', () => {
    assert.equal(nights('2026-05-11', '2026-05-12'), 1);
    assert.deepEqual(days('2026-02-27', '2026-03-02'), ['2026-02-27', '2026-02-28', '2026-03-01']);
  });

  it('has no nights if the boat leaves before it comes', () => {
    assert.deepEqual(days('2026-05-12', '2026-05-11'), []);
  });

  it('refuses what is no date', () => {
    for (const text of ['', 'tomorrow', '2026-5-1', '2026-02-30', '14.05.2026']) {
      assert.throws(() => dayNumber(text), RangeError, text);
    }
  });

  it('lets one boat leave on the day the next one comes', () => {
    const first = { from: '2026-05-11', to: '2026-05-13' };
    assert.equal(overlaps(first, { from: '2026-05-13', to: '2026-05-14' }), false);
    assert.equal(overlaps(first, { from: '2026-05-12', to: '2026-05-14' }), true);
  });
});
