import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRequests, splitLine } from '../src/csv.js';

const HEAD = 'boat,length,beam,draught,keel,party,from,to';

describe('csv', () => {
  it('keeps commas and quotes inside quotes', () => {
    assert.deepEqual(splitLine('"a, b","say ""hi""",c'), ['a, b', 'say "hi"', 'c']);
  });

  it('reads a request', () => {
    const [request] = parseRequests(`${HEAD}\r\nDunlin,7.6 m,2.5 m,1.2 m,fin,,2026-05-11,2026-05-22\r\n`);
    assert.deepEqual(request, {
      boat: { name: 'Dunlin', length: 760, beam: 250, draught: 120, bilgeKeel: false },
      party: undefined,
      from: '2026-05-11',
      to: '2026-05-22',
    });
  });

  it('says which line is wrong', () => {
    assert.throws(() => parseRequests(`${HEAD}\nDunlin,7.6,2.5 m,1.2 m,fin,,2026-05-11,2026-05-22`), /line 2: "7.6"/);
    assert.throws(() => parseRequests(`${HEAD}\n"Dunlin,7.6 m`), /line 2: a quote is not closed/);
  });
});
