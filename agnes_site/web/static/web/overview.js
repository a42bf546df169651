// Keeps the overview fresh while runs are on, and lets its buttons work in place.
(() => {
  const SECONDS = 5;
  const NOTES = "#ag-messages";
  const overview = () => document.getElementById("overview");

  async function refresh() {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const renewed = page.getElementById("overview");
    if (!renewed) return;
    overview().replaceWith(renewed);
    const notes = document.querySelector(NOTES), said = page.querySelector(NOTES);
    if (notes && said?.children.length) notes.replaceChildren(...said.children);
  }

  // Whoever reads a table of it or stands on a button is left alone.
  const isInUse = () => overview().contains(document.activeElement)
    || overview().querySelector("details[open]") !== null;

  setInterval(() => {
    if (document.hidden || !("live" in overview().dataset) || isInUse()) return;
    refresh().catch(() => {});
  }, SECONDS * 1000);

  document.addEventListener("submit", async (event) => {
    const place = event.target.closest("[data-in-place]");
    if (!place || event.defaultPrevented) return;
    event.preventDefault();
    const id = place.id;
    try {
      await fetch(event.target.action, { method: "POST", body: new FormData(event.target), redirect: "manual" });
      await refresh();
      document.getElementById(id)?.querySelector("button")?.focus();
    } catch {
      event.target.submit();
    }
  });
})();
