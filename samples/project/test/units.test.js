import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLength, formatMoney, parseLength } from '../src/units.js';

describe('units', () => {
  for (const [text, centimetres] of [['9.5 m', 950], ['9,5m', 950], ['950 cm', 950], ['31 ft', 945]]) {
    it(`reads ${text}`, () => assert.equal(parseLength(text), centimetres));
  }

  it('refuses a length without a unit', () => {
    assert.throws(() => parseLength('9.5'), /not a length/);
  });

  it('writes lengths with no more decimals than they need', () => {
    assert.equal(formatLength(950), '9.5 m');
    assert.equal(formatLength(945), '9.45 m');
    assert.equal(formatLength(900), '9.0 m');
  });

  it('writes money with its thousands apart', () => {
    assert.equal(formatMoney(123456789), '1 234 567.89');
    assert.equal(formatMoney(-5), '-0.05');
  });
});
