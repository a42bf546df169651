// The form of a source: shows what has a meaning, tries what was typed, saves without a reload.
(function () {
  const { ask, call, Cancelled } = window.agnes;

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("source_form");
    const trials = document.getElementById("source-trials");
    if (!form || !trials) return;
    const answer = trials.querySelector(".ag-answer");
    const cancel = trials.querySelector("[data-cancel]");
    const sure = form.querySelector("[name=is_sure]");
    let asked = null, isSaving = false;

    // Fields that have a meaning with another setting only ----------------------------------

    function rowOf(input) {
      return input.closest(".field-line") || input.closest(".group") || input.parentElement;
    }

    function showWhatFits() {
      for (const input of form.querySelectorAll("[data-only-if]")) {
        const { name, values } = JSON.parse(input.dataset.onlyIf);
        const chosen = form.elements[name];
        const value = chosen && (chosen.type === "checkbox" ? String(chosen.checked) : chosen.value);
        const isSeen = !chosen || (values.includes(value) && !rowOf(chosen).hidden);
        rowOf(input).hidden = !isSeen;
      }
    }
    form.addEventListener("change", showWhatFits);
    showWhatFits();
    if (sure) rowOf(sure).closest("fieldset").hidden = !form.querySelector(".errors [name=is_sure]");

    // Saying things -------------------------------------------------------------------------

    function say(tone, ...parts) {
      const notice = element("div", "ag-notice ag-" + tone);
      notice.append(...parts);
      answer.replaceChildren(notice);
      answer.scrollIntoView({ block: "center" });  // not behind the bar at the bottom
      return notice;
    }

    function sayError(error) {
      const told = [element("strong", "", error.message)];
      if (error.hint) told.push(element("div", "", error.hint));
      say("bad", ...told);
    }

    function clearErrors() {
      for (const old of form.querySelectorAll(".ag-script-error, .group > .text-red-600, .grow > .text-red-600")) old.remove();
      for (const old of form.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
    }

    function showErrors(errors) {
      const lost = [];
      let first = null;
      for (const [name, texts] of Object.entries(errors)) {
        const input = form.querySelector(`[name="${CSS.escape(name)}"]`);
        if (!input || input.type === "hidden") { lost.push(...texts); continue; }
        const told = element("p", "ag-field-error ag-script-error", texts.join(" "));
        told.id = "error-" + name;
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-describedby", told.id);
        const folded = input.closest("details");
        if (folded) folded.open = true;
        (input.closest(".grow") || input.closest(".group") || rowOf(input)).append(told);
        first = first || input;
      }
      if (lost.length) say("bad", element("strong", "", lost.join(" ")));
      else say("bad", element("strong", "", "Mend what is marked, then try again."));
      if (first) first.focus();
    }

    async function working(text, task) {
      clearErrors();
      const bar = element("progress", "ag-progress");
      bar.setAttribute("aria-label", text);
      const line = element("div", "ag-faint", text);
      answer.replaceChildren(line, bar);
      answer.scrollIntoView({ block: "center" });
      const focused = document.activeElement;
      cancel.hidden = false;
      setBusy(true);
      try {
        return await task((message) => { line.textContent = message || text; });
      } catch (error) {
        if (error instanceof Cancelled) answer.replaceChildren(element("span", "ag-faint", "Cancelled."));
        else if (error.errors) showErrors(error.errors);
        else sayError(error);
        return undefined;
      } finally {
        cancel.hidden = true;
        asked = null;
        setBusy(false);
        // A button that was disabled has lost the focus.
        if (document.activeElement === document.body) focused.focus({ preventScroll: true });
      }
    }

    function setBusy(isBusy) {
      for (const button of document.querySelectorAll("[data-trial], #submit-row button")) button.disabled = isBusy;
    }

    cancel.addEventListener("click", () => asked && asked.cancel());

    function tryWith(url, text) {
      return working(text, (tell) => {
        asked = ask("POST", url, new FormData(form), tell);
        return asked.answer;
      });
    }

    for (const button of trials.querySelectorAll("[data-trial]")) {
      button.addEventListener("click", async () => {
        const found = await tryWith(button.dataset.trial, "Asking the source…");
        if (found) say("good", element("strong", "", "It works. "), found.answer.message);
      });
    }

    // Saving --------------------------------------------------------------------------------

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isSaving) return;
      isSaving = true;
      try { await save(event.submitter); } finally { isSaving = false; }
    });

    async function save(submitter) {
      const data = new FormData(form, submitter && submitter.name ? submitter : undefined);
      const saved = await working("Saving…", () => call("POST", location.pathname + location.search, data).catch((error) => {
        // Tables are at stake: the source is asked before anything is kept.
        if (error.errors && error.errors.is_sure && Object.keys(error.errors).length === 1) return { unasked: true };
        throw error;
      }));
      if (!saved) return;
      if (saved.unasked) await askFirst(submitter);
      else await goOn(saved.next);
    }

    async function askFirst(submitter) {
      const silent = trials.querySelector("[data-silent-trial=impact]");
      const retry = (label) => {
        const button = element("button", "ag-button", label);
        button.type = "button";
        button.addEventListener("click", () => { sure.checked = true; form.requestSubmit(submitter || undefined); });
        return button;
      };
      const found = silent && await tryWith(silent.dataset.url, "Asking the source which of its tables it would still have…");
      if (!found) {
        // It does not answer with these settings; one may know better than it.
        const notice = answer.querySelector(".ag-notice");
        if (notice && !form.querySelector(".ag-script-error")) notice.append(retry("Save without asking it"));
        return;
      }
      const { lost, unknown } = found.answer;
      if (!lost.length) {
        sure.checked = true;
        form.requestSubmit(submitter || undefined);
        return;
      }
      const list = element("ul", "ag-listed");
      for (const each of lost.slice(0, 100)) list.append(element("li", "", `${each.table} (${each.source_table}): ${each.reason}`));
      const more = lost.length > 100 ? element("div", "", `and ${lost.length - 100} more`) : "";
      const alsoUnknown = unknown.length ? element("div", "", `${unknown.length} more come from queries and cannot be looked for.`) : "";
      const title = lost.length === 1 ? "With these settings the source no longer has 1 of its tables:" : `With these settings the source no longer has ${lost.length} of its tables:`;
      const notice = say("warn", element("strong", "", title), list, more, alsoUnknown,
        element("div", "", "They keep their last version, and their next run fails. Mend the settings, or save them all the same."));
      notice.append(retry("Save all the same"));
      notice.querySelector("button").focus();
    }

    // Going on: the next step takes the place of the form, and the page stays ------------------

    async function goOn(url) {
      const isAdding = location.pathname.endsWith("/add/");
      if (!isAdding) return location.assign(url);
      let next, page;
      try {
        const answered = await fetch(url, { credentials: "same-origin" });
        page = new DOMParser().parseFromString(await answered.text(), "text/html");
        next = page.querySelector("[data-next-step]");
      } catch { /* the page itself will say what is wrong */ }
      if (!next) return location.assign(url);
      for (const script of next.querySelectorAll("script[src]")) {
        await load(script.getAttribute("src"));
        script.remove();
      }
      const content = document.getElementById("content-main");
      document.getElementById("submit-row")?.remove();
      history.replaceState(null, "", url);
      document.title = page.title;
      content.replaceChildren(document.adoptNode(next));
      const title = next.querySelector("h2");
      if (title) { title.tabIndex = -1; title.focus({ preventScroll: true }); }
      scrollTo(0, 0);
    }

    function load(source) {
      if (document.querySelector(`head script[src="${CSS.escape(source)}"]`)) return Promise.resolve();
      return new Promise((done, failed) => {
        const script = document.createElement("script");
        Object.assign(script, { src: source, onload: done, onerror: failed });
        document.head.append(script);
      });
    }
  });
})();
