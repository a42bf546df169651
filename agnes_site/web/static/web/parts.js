// Pages of sections and parts (agnes_site/core/admin/parts.py): one section is shown at a time,
// what was done in one part renews the others, and a question may come from the server.
(function () {
  const form = () => document.querySelector("#content-main > form, #content-main form[id$=_form]");

  function sections() {
    const found = [...document.querySelectorAll(".ag-section")];
    if (!document.querySelector(".ag-sections")) return null;
    return found;
  }

  function showSection() {
    const all = sections();
    if (!all) return;
    const links = [...document.querySelectorAll(".ag-sections a")];
    const names = links.map((link) => link.hash.slice(1));
    const hasErrors = form() && form().querySelector(".errornote, .errorlist, [aria-invalid=true]");
    let wanted = location.hash.slice(1);
    if (!names.includes(wanted)) wanted = hasErrors ? "settings" : names[0];
    for (const section of all) section.hidden = section.dataset.section !== wanted;
    for (const link of links) {
      const isCurrent = link.hash.slice(1) === wanted;
      if (isCurrent) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      if (isCurrent) link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    for (const part of [form(), document.getElementById("submit-row")]) {
      if (part) part.hidden = wanted !== "settings";
    }
    if (form()) form().action = location.pathname + location.search + "#" + wanted;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest(".ag-sections a");
    if (!link) return;
    event.preventDefault();
    history.replaceState(history.state, "", link.hash);
    showSection();
  });
  addEventListener("hashchange", showSection);
  addEventListener("DOMContentLoaded", showSection);

  // A part in which somebody writes, or has chosen something, is left alone.
  function isWrittenIn(part) {
    const active = document.activeElement;
    if (part.contains(active) && active.matches("input, textarea, select, [role=combobox]")) return true;
    if ([...part.querySelectorAll("textarea")].some((text) => text.value !== text.defaultValue)) return true;
    return [...part.querySelectorAll("select.admin-autocomplete")].some((select) => select.value);
  }

  function renew(except) {
    for (const part of document.querySelectorAll(".ag-part")) {
      if (part !== except && !isWrittenIn(part)) htmx.trigger(part, "refresh");
    }
  }
  document.addEventListener("ag-changed", (event) => {
    const source = event.target.closest ? event.target.closest(".ag-part") : null;
    renew(event.detail && event.detail.elt ? source : null);
  });

  // A renewal comes too late when somebody has begun to write meanwhile, or has done something in
  // the part: its own answer is newer, and says how that went.
  const answers = new WeakMap();
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, requestConfig } = event.detail;
    if (elt.matches(".ag-part")) requestConfig.answersBefore = answers.get(elt);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, requestConfig } = event.detail;
    if (!target.matches(".ag-part")) return;
    if (requestConfig.elt !== target) answers.set(target, (answers.get(target) || 0) + 1);
    else if (isWrittenIn(target) || answers.get(target) !== requestConfig.answersBefore) {
      event.detail.shouldSwap = false;
    }
  });

  // A question that the server answers with what would happen.
  const asked = async (url) => confirm(await (await fetch(url)).text());
  document.addEventListener("htmx:confirm", async (event) => {
    const url = event.detail.elt.dataset.ask;
    if (!url) return;
    event.preventDefault();
    if (await asked(url)) event.detail.issueRequest(true);
  });

  // A redirect leads to another page, mostly to sign in: that is no part of this one.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { finalRequestPath, responsePath } = event.detail.pathInfo;
    if (!responsePath || responsePath.split("?")[0] === finalRequestPath.split("?")[0]) return;
    event.detail.shouldSwap = false;
    location.reload();
  });

  // What could not be done is said; a page that has ended its session is left for signing in.
  document.addEventListener("htmx:responseError", (event) => {
    if ([401, 403].includes(event.detail.xhr.status)) return location.reload();
    event.detail.target.insertAdjacentHTML(
      "afterbegin", '<div class="ag-notice ag-bad" role="alert">This did not work. Load the page again and try once more.</div>');
  });

  // Fields of select2 say what was chosen in jQuery's way only, and new ones have to be made.
  addEventListener("DOMContentLoaded", () => {
    const $ = window.django && window.django.jQuery;
    if (!$ || !$.fn.djangoAdminSelect2) return;
    $(document).on("change", "select.admin-autocomplete", (event) => {
      if (!event.originalEvent) event.target.dispatchEvent(new Event("change", { bubbles: true }));
    });
    document.addEventListener("htmx:load", (event) => {
      $(event.detail.elt).find("select.admin-autocomplete").not(".select2-hidden-accessible").djangoAdminSelect2();
    });
  });
})();
