// Follows an open run by server-sent events; when it is over, the page is loaded once more.
(function () {
  const live = document.getElementById("run-live");
  if (!live) return;
  const part = (name) => document.getElementById("run-" + name);
  const numbers = new Intl.NumberFormat("en-US");

  function show(run) {
    const bar = live.querySelector("progress");
    if (run.total) {
      bar.max = run.total;
      bar.value = Math.min(run.done, run.total);
      part("count").textContent = numbers.format(run.done) + " of " + numbers.format(run.total);
    } else {
      bar.removeAttribute("value");
      part("count").textContent = run.done ? numbers.format(run.done) : "";
    }
    const waiting = run.state === "queued" ? "waiting for a worker" : "working";
    part("phase").textContent = run.phase || waiting;
    part("message").textContent = run.message || "";
    if (run.rows !== null) part("rows").textContent = numbers.format(run.rows);
    const badge = part("state").firstElementChild;
    badge.textContent = run.state;
    badge.className = "ag-badge ag-" + (run.state === "running" ? "busy" : "plain");
  }

  function follow() {
    const events = new EventSource(live.dataset.url);
    events.onmessage = (event) => {
      const run = JSON.parse(event.data);
      if (run.state === "queued" || run.state === "running") return show(run);
      events.close();
      location.reload();
    };
    // The stream ends now and then and is taken up again; one that was refused is not.
    events.onerror = () => {
      if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
    };
  }

  if (window.EventSource) follow();
  else setTimeout(() => location.reload(), 3000);
})();
