// The window that ⌘K opens: type, choose with the arrows, open with Enter.
addEventListener("DOMContentLoaded", () => {
  const dialog = document.getElementById("ag-search");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const hits = dialog.querySelector("#ag-hits");
  const note = dialog.querySelector("[aria-live]");
  const help = note.textContent;
  let asked = null, waiting = 0, chosen = -1;

  const options = () => [...hits.querySelectorAll("[role=option]")];

  function choose(number) {
    const all = options();
    chosen = all.length ? (number + all.length) % all.length : -1;
    all.forEach((option, each) => option.setAttribute("aria-selected", each === chosen));
    if (chosen < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", all[chosen].id);
    all[chosen].scrollIntoView({ block: "nearest" });
  }

  function show(html) {
    hits.innerHTML = html;
    options().forEach((option, number) => { option.id = `ag-hit-${number}`; });
    const count = hits.querySelectorAll(".ag-hit:not(.ag-hit-all)").length;
    input.setAttribute("aria-expanded", count > 0);
    note.textContent = count ? `${count} found` : html.trim() ? "" : help;
    choose(0);
  }

  async function ask() {
    asked?.abort();
    const mine = asked = new AbortController();
    const term = input.value.trim();
    if (term.length < 2) return show("");
    try {
      const answer = await fetch(`${dialog.dataset.url}?${new URLSearchParams({ s: term })}`, { signal: mine.signal });
      if (answer.redirected) return location.reload();  // signed out meanwhile
      if (!answer.ok) throw new Error(answer.statusText);
      const html = await answer.text();
      if (mine === asked) show(html);
    } catch (error) {
      if (error.name === "AbortError") return;
      show("");
      note.textContent = "The server does not answer. Try again in a moment.";
    }
  }

  function open() {
    if (dialog.open) return;
    dialog.showModal();
    input.select();
  }

  input.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(ask, 120); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") {
      const link = options()[chosen];
      if (!link) return;
      if (event.metaKey || event.ctrlKey) window.open(link.href, "_blank", "noopener");
      else location.assign(link.href);
    } else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close-dialog]")) dialog.close();
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-open-search]")) open(); });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.altKey) return;
    event.preventDefault();
    open();
  });
});
