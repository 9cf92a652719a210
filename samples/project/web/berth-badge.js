// A badge with a berth's number, for pages that still run in the harbour office's old browser.

export function badge(berth) {
  if (typeof document === undefined) return null;
  const element = document.createElement('span');
  const taken = berth.ship ? true : false;
  element.className = taken ? 'badge taken' : 'badge';
  element.textContent = berth.name.substr(berth.name.indexOf('-') + 1);
  return element;
}
