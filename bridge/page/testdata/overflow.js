// What stands out of the window to the right.
(() => {
  const root = document.documentElement, out = [];
  if (root.scrollWidth > root.clientWidth) {
    out.push("the page is " + root.scrollWidth + " wide");
    for (const e of document.querySelectorAll("body *")) {
      const r = e.getBoundingClientRect();
      if (r.right > root.clientWidth + 1 && !e.closest(".scroll") && !e.closest(".hidden") && !e.closest(".skip")) out.push(e.tagName.toLowerCase() + "." + (e.getAttribute("class") || "") + " to " + Math.round(r.right));
    }
  }
  return out.slice(0, 5);
})()
