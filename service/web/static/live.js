// Keeps a page up to date: follows the live stream and lets the server render again what has changed.
// The page says up to which event it was rendered (data-seq), so nothing between rendering and connecting is missed.
"use strict";

(() => {
  const EVENTS = ["pending", "opened", "updated", "acknowledged", "ack_expired", "assigned", "commented", "silenced",
    "unsilenced", "inhibited", "resolved", "expected", "withdrawn", "reopened", "feedback", "reset"];
  const FIRST_WAIT_MS = 150;   // events come in bursts: wait for the rest of one
  const MIN_INTERVAL_MS = 1000;
  const RECONNECT_MS = 5000;

  const indicator = document.getElementById("live");
  const title = document.title;
  let source = null;
  let reconnect = null;
  let refreshTimer = null;
  let refreshing = false;
  let lastRefresh = 0;

  const root = () => document.getElementById("board") || document.getElementById("alert");
  const isList = () => root().id === "board";

  function say(state, text) {
    if (indicator.dataset.state === state) return;
    indicator.dataset.state = state;
    indicator.querySelector(".live-text").textContent = text;
  }

  function connect() {
    disconnect();
    const params = new URLSearchParams({ last_event_id: root().dataset.seq });
    if (!isList()) params.set("alert", root().dataset.id);
    source = new EventSource("/api/v1/alerts/stream?" + params);
    source.onopen = () => say("on", "live");
    source.onerror = () => {
      say("off", "reconnecting");
      // The browser reconnects by itself after a break, not after an answer that was no stream.
      if (source.readyState === EventSource.CLOSED && reconnect === null) {
        reconnect = setTimeout(() => { reconnect = null; connect(); }, RECONNECT_MS);
      }
    };
    for (const name of EVENTS) source.addEventListener(name, scheduleRefresh);
  }

  function disconnect() {
    clearTimeout(reconnect);
    reconnect = null;
    if (source) source.close();
    source = null;
  }

  function scheduleRefresh() {
    if (refreshTimer !== null) return;
    const wait = Math.max(FIRST_WAIT_MS, lastRefresh + MIN_INTERVAL_MS - Date.now());
    refreshTimer = setTimeout(refresh, wait);
  }

  function isTyping() {
    const field = document.activeElement;
    return !isList() && field && field.closest("#actions") && field.value;
  }

  async function refresh() {
    refreshTimer = null;
    if (refreshing || isTyping()) { lastRefresh = Date.now(); scheduleRefresh(); return; }
    refreshing = true;
    lastRefresh = Date.now();
    const before = rows();
    const selection = isList() ? { target: "#board", swap: "outerHTML" }
                               : { target: "#alert", select: "#alert", swap: "outerHTML" };
    try {
      await htmx.ajax("GET", location.pathname + location.search, selection);
      if (isList()) highlight(before);
    } finally {
      refreshing = false;
    }
  }

  function rows() {
    return new Map([...document.querySelectorAll("tr.alert")].map((row) => [row.dataset.id, row.dataset.seq]));
  }

  function highlight(before) {
    for (const row of document.querySelectorAll("tr.alert")) {
      if (before.get(row.dataset.id) !== row.dataset.seq) row.classList.add("fresh");
    }
  }

  function showCount() {
    const firing = isList() ? Number(root().dataset.firing) : 0;
    document.title = firing ? `(${firing}) ${title}` : title;
  }

  document.body.addEventListener("htmx:afterSettle", showCount);
  // A hidden tab gives its connection back: browsers allow six per server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { disconnect(); return; }
    connect();
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });

  showCount();
  connect();
})();
