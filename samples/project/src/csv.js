import { parseLength } from './units.js';

/** Fields of one line; quotes keep commas, two quotes are one. */
export function splitLine(line) {
  const fields = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at];
    if (quoted && char === '"' && line[at + 1] === '"') {
      field += '"';
      at += 1;
    } else if (char === '"') {
      quoted = !quoted;
    } else if (char === ',' && !quoted) {
      fields.push(field);
      field = '';
    } else {
      field += char;
    }
  }
  if (quoted) throw new SyntaxError('a quote is not closed');
  fields.push(field);
  return fields;
}

/** The requests of a file whose first line names the columns. */
export function parseRequests(text) {
  const [head, ...lines] = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const columns = splitLine(head);
  return lines.map((line, index) => {
    try {
      const row = Object.fromEntries(splitLine(line).map((value, column) => [columns[column], value.trim()]));
      return {
        boat: {
          name: row.boat,
          length: parseLength(row.length),
          beam: parseLength(row.beam),
          draught: parseLength(row.draught),
          bilgeKeel: row.keel === 'bilge',
        },
        party: row.party || undefined,
        from: row.from,
        to: row.to,
      };
    } catch (error) {
      throw new SyntaxError(`line ${index + 2}: ${error.message}`);
    }
  });
}
