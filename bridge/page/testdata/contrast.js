// What in a page has less contrast than WCAG 2.2 AA asks for.
(() => {
  const parse = (c) => {
    const m = c.match(/rgba?\(([^)]+)\)/);
    if (!m) return [0, 0, 0, 0];
    const v = m[1].split(/[ ,\/]+/).map(Number);
    return [v[0], v[1], v[2], v.length > 3 ? v[3] : 1];
  };
  const over = (a, b) => a[3] >= 1 ? a : [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const f = (x) => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) layers.push(c); if (c[3] >= 1) break; }
    return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]);
  };
  const seen = (e) => { const r = e.getBoundingClientRect(), s = getComputedStyle(e); return r.width > 1 && r.height > 1 && s.visibility === "visible" && s.display !== "none" && !e.closest(".hidden"); };
  const faults = [], checked = { text: 0, frames: 0, marks: 0 };
  const report = (e, what, got, want) => { if (got < want) faults.push(what + " " + e.tagName.toLowerCase() + "." + (e.getAttribute("class") || "") + " '" + e.textContent.trim().slice(0, 30) + "': " + got.toFixed(2) + ", wanted " + want); };
  for (const e of document.querySelectorAll("body *")) {
    const s = getComputedStyle(e);
    if (!seen(e) || e.closest("svg")) continue;
    if ([...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) {
      const size = parseFloat(s.fontSize), bold = parseInt(s.fontWeight) >= 700;
      checked.text++;
      report(e, "text", ratio(over(parse(s.color), ground(e)), ground(e)), size >= 24 || size >= 18.66 && bold ? 3 : 4.5);
    }
    if (e.matches("input:not([type=hidden]), select, button, .button") && parse(s.borderTopColor)[3] > 0 && parseFloat(s.borderTopWidth) > 0) {
      checked.frames++;
      report(e, "frame", ratio(over(parse(s.borderTopColor), ground(e.parentElement)), ground(e.parentElement)), 3);
    }
    if (e.matches(".swatch, .done .dot, .here .dot, .runs .dot")) {
      checked.marks++;
      report(e, "mark", ratio(parse(s.backgroundColor), ground(e.parentElement)), 3);
    }
  }
  return { faults, ...checked };
})()
