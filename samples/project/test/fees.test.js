import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { feeFor } from '../src/fees.js';

const boat = { length: 945 };

describe('fees', () => {
  it('counts started metres', () => {
    assert.equal(feeFor(boat, { from: '2026-05-11', to: '2026-05-12' }), 10 * 310);
  });

  it('takes each night at its own rate', () => {
    assert.equal(feeFor(boat, { from: '2026-05-31', to: '2026-06-02' }), 10 * 310 + 10 * 420);
  });

  it('is kinder from the eighth night on', () => {
    assert.equal(feeFor(boat, { from: '2026-05-01', to: '2026-05-10' }), 7 * 3100 + 2 * 2480);
  });
});
