// What buttons do in the browser: ask first, show that something is going on, copy a secret.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form.ag-do, form.ag-inline-form, form.ag-busy")) return;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) return event.preventDefault();
  // A question that the server answers with what would happen; parts.js asks it for parts.
  if (form.dataset.ask && !form.hasAttribute("hx-post")) {
    event.preventDefault();
    if (confirm(await (await fetch(form.dataset.ask)).text())) form.submit();
    return;
  }
  const button = form.querySelector("button[type=submit]");
  if (button) setTimeout(() => { button.disabled = true; }, 0);
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.querySelector(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      copy.textContent = "Copied";
    } catch {
      // Browsers let pages write to the clipboard over HTTPS only.
      getSelection().selectAllChildren(source);
      copy.textContent = "Selected: press Ctrl C or ⌘C";
    }
  }
});

// A page that is shown again by “back” must not keep its buttons disabled.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form.ag-do button, form.ag-inline-form button, form.ag-busy button")) {
    button.disabled = false;
  }
});

// A page that is shown once: loading it again leads on, instead of doing it all a second time.
addEventListener("DOMContentLoaded", () => {
  const once = document.querySelector("[data-leave-to]");
  if (once) history.replaceState(null, "", once.dataset.leaveTo);
});

// What is chosen in a filter that is typed into limits the list at once.
addEventListener("DOMContentLoaded", () => {
  if (!window.django?.jQuery) return;
  django.jQuery(document).on("change", ".unfold-filter-autocomplete", (event) => {
    const asked = new URLSearchParams(location.search);
    asked.delete("p");
    asked.delete(event.target.name);
    if (event.target.value) asked.set(event.target.name, event.target.value);
    location.search = asked.toString();
  });
});
