/** Centimetres from text such as "9.5 m", "950cm" or "31 ft". */
export function parseLength(text) {
  const found = /^\s*(\d+(?:[.,]\d+)?)\s*(m|cm|ft)\s*$/i.exec(text);
  if (!found) throw new RangeError(`"${text}" is not a length such as 9.5 m`);
  const value = Number(found[1].replace(',', '.'));
  const factor = { m: 100, cm: 1, ft: 30.48 }[found[2].toLowerCase()];
  return Math.round(value * factor);
}

/** Metres with one decimal, or two where the second is not zero. */
export function formatLength(centimetres) {
  const metres = (centimetres / 100).toFixed(2);
  return `${metres.endsWith('0') ? metres.slice(0, -1) : metres} m`;
}

export function formatMoney(cents) {
  const sign = cents < 0 ? '-' : '';
  const [whole, rest] = (Math.abs(cents) / 100).toFixed(2).split('.');
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, ' ')}.${rest}`;
}
