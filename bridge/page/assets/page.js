// Fetches the page again and exchanges what has changed: when something has
// happened, and now and then. What somebody is using at the moment stays.
"use strict";
(() => {
  const parts = () => document.querySelectorAll("[data-live]");
  const state = document.getElementById("live");
  if (!state || !document.querySelector("main [data-live]")) return;

  const every = 60_000, least = 3_000;
  let paused = false, last = Date.now(), timer = 0, due = Infinity, busy = false;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  const say = () => {
    button.textContent = paused ? "Refresh by itself" : "Stop refreshing";
    button.setAttribute("aria-pressed", String(paused));
  };
  button.addEventListener("click", () => { paused = !paused; say(); if (!paused) later(0); });
  say();
  state.append(button);

  // What comes often puts off nothing: the earliest time counts.
  function later(ms) {
    const at = Math.max(Date.now() + ms, last + least);
    if (at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(refresh, at - Date.now());
  }

  async function refresh() {
    due = Infinity;
    if (paused || busy || document.hidden) return later(every);
    busy = true;
    try {
      const r = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin", cache: "no-store" });
      if (r.status === 401 || r.status === 403) { location.reload(); return; }
      if (r.ok) exchange(new DOMParser().parseFromString(await r.text(), "text/html"));
    } catch { /* the gateway is away: later again */ } finally {
      busy = false;
      last = Date.now();
      later(every);
    }
  }

  function exchange(next) {
    const open = [...document.querySelectorAll("details[open][id]")].map((d) => d.id);
    const active = document.activeElement;
    for (const old of parts()) {
      const fresh = next.querySelector(`[data-live="${old.dataset.live}"]`);
      if (!fresh || old.isEqualNode(fresh) || (old !== active && old.contains(active))) continue;
      const at = [...old.querySelectorAll(".scroll")].map((s) => s.scrollLeft);
      old.replaceWith(document.adoptNode(fresh));
      fresh.querySelectorAll(".scroll").forEach((s, i) => { s.scrollLeft = at[i] || 0; });
    }
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    document.dispatchEvent(new Event("refreshed"));
  }

  if ("EventSource" in window) {
    const events = new EventSource("/events");
    for (const kind of ["stage", "window", "hurt", "source", "clock", "certificate", "reload", "lost"]) events.addEventListener(kind, () => later(500));
    addEventListener("pagehide", () => events.close());
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) later(0); });
  later(every);
})();
