import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { levelAt, lowestOn, NORTH_PIER } from '../src/tide.js';

const range = NORTH_PIER.constituents.reduce((sum, { amplitude }) => sum + amplitude, 0);

describe('tide', () => {
  it('never leaves the range of its constituents', () => {
    for (let hour = 0; hour < 24 * 60; hour += 1) {
      const level = levelAt(Date.parse('2026-05-01T00:00:00Z') + hour * 3_600_000);
      assert.ok(Math.abs(level - NORTH_PIER.mean) <= range + 1e-9);
    }
  });

  it('is lower at springs than at neaps', () => {
    const month = Array.from({ length: 30 }, (_, day) => lowestOn(`2026-05-${String(day + 1).padStart(2, '0')}`));
    assert.ok(Math.max(...month) - Math.min(...month) > 60);
  });

  it('stands still with no constituents', () => {
    assert.equal(lowestOn('2026-05-14', { mean: 200, constituents: [] }), 200);
  });
});
