// Says under the field of a schedule what it means and when it would run, while it is typed.
(function () {
  const WAIT = 250;

  function moments(found) {
    const zone = found.zone;
    const words = new Intl.DateTimeFormat("en-GB", {
      weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
      timeZone: zone,
    });
    return found.next_runs.map((moment) => words.format(new Date(moment))).join(" · ");
  }

  function explain(field) {
    const said = document.createElement("p");
    said.className = "ag-explained";
    said.id = field.id + "-explained";
    said.setAttribute("aria-live", "polite");
    field.after(said);
    const described = field.getAttribute("aria-describedby");
    field.setAttribute("aria-describedby", [described, said.id].filter(Boolean).join(" "));
    let timer, newest = 0;

    function show(text, isWrong) {
      said.textContent = text;
      said.classList.toggle("ag-explained-wrong", isWrong);
      field.setAttribute("aria-invalid", String(isWrong));
    }

    async function ask() {
      const text = field.value.trim();
      const turn = ++newest;
      if (!text) return show("", false);
      const url = field.dataset.explain + "?text=" + encodeURIComponent(text);
      const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer || turn !== newest) return;
      const found = await answer.json();
      if (turn !== newest) return;
      if (answer.ok) show(found.sentence + " Next: " + moments(found) + " (" + found.zone + ")", false);
      else if (found.code === "schedule_invalid") show(found.message + " " + found.hint.replaceAll("`", ""), true);
    }

    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT);
    });
    ask();
  }

  function start(root) {
    for (const field of root.querySelectorAll("[data-explain]:not([data-explained])")) {
      field.dataset.explained = "";
      explain(field);
    }
  }

  addEventListener("DOMContentLoaded", () => start(document));
  // Forms that come into a page later, such as those of bulk actions.
  addEventListener("focusin", () => start(document));
})();
