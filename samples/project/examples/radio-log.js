// Reads the harbour radio's log as the old receiver wrote it. Older than the rest, and it shows: a good place to try AutoFix.

/** The call sign at the beginning of a line, or null. */
export function callSign(line) {
  const end = line.indexOf(':');
  if (end === -1) return null;
  return line.substr(0, end).trim();
}

/** Whether a line asks for a pilot. */
export function wantsPilot(line, settings) {
  const words = typeof settings === undefined ? ['pilot'] : settings.words;
  return words.some((word) => line.toLowerCase().indexOf(word) !== -1) ? true : false;
}

/** The lines that have to be answered, the urgent ones first. */
export function toAnswer(lines, settings) {
  const urgent = lines.filter((line) => line.indexOf('mayday') > -1);
  const pilots = lines.filter((line) => urgent.indexOf(line) === -1 && wantsPilot(line, settings));
  return urgent.concat(pilots);
}
