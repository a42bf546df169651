// Follows open runs by server-sent events. When one is over, the parts of the page that can be
// renewed are; a page without parts is loaded once more.
(function () {
  if (window.agnesFollows) return window.agnesFollows(document);
  const numbers = new Intl.NumberFormat("en-US");

  function show(live, run) {
    const bar = live.querySelector("progress");
    const put = (name, text) => {
      for (const found of document.querySelectorAll(`[data-run=${name}]`)) found.textContent = text;
    };
    if (run.total) {
      bar.max = run.total;
      bar.value = Math.min(run.done, run.total);
      put("count", numbers.format(run.done) + " of " + numbers.format(run.total));
    } else {
      bar.removeAttribute("value");
      put("count", run.done ? numbers.format(run.done) : "");
    }
    put("phase", run.phase || (run.state === "queued" ? "waiting for a worker" : "working"));
    put("message", run.message || "");
    if (run.rows !== null) put("rows", numbers.format(run.rows));
    const state = document.querySelector("[data-run=state]");
    if (state) {
      state.firstElementChild.textContent = run.state;
      state.firstElementChild.className = "ag-badge ag-" + (run.state === "running" ? "busy" : "plain");
    }
  }

  function over() {
    if (document.querySelector(".ag-part")) document.body.dispatchEvent(new Event("ag-changed", { bubbles: true }));
    else location.reload();
  }

  function follow(live) {
    live.dataset.isFollowed = "yes";
    const events = new EventSource(live.dataset.url);
    events.onmessage = (event) => {
      if (!document.contains(live)) return events.close();
      const run = JSON.parse(event.data);
      if (run.state === "queued" || run.state === "running") return show(live, run);
      events.close();
      over();
    };
    // The stream ends now and then and is taken up again; one that was refused is not.
    events.onerror = () => {
      if (!document.contains(live)) events.close();
      else if (events.readyState === EventSource.CLOSED) setTimeout(over, 5000);
    };
  }

  window.agnesFollows = (within) => {
    for (const live of within.querySelectorAll(".ag-live[data-url]:not([data-is-followed])")) {
      if (window.EventSource) follow(live);
      else setTimeout(over, 3000);
    }
  };
  document.addEventListener("htmx:load", (event) => window.agnesFollows(event.detail.elt));
  window.agnesFollows(document);
})();
