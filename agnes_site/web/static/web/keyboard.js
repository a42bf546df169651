// What the pages offer to the mouse is there for the keyboard and for screen readers too.
(() => {
  const LABELS = {
    search: "Search", close: "Close the menu", unfold_more: "Your account", filter_list: "Filters", more_vert: "More", expand_more: "Show more",
    visibility: "Show the password", visibility_off: "Show the password",
  };
  const CLICKABLE = "[x-on\\:click]:not(a[href], button, input, select, label, #changelist-filter-close)";

  function nameOf(element) {
    const icon = element.matches(".material-symbols-outlined") ? element : element.querySelector(".material-symbols-outlined");
    const text = [...element.querySelectorAll("*")].filter((each) => !each.matches(".material-symbols-outlined") && !each.children.length)
      .map((each) => each.textContent.trim()).join(" ").trim();
    return text ? "" : LABELS[icon?.textContent.trim()] ?? "";
  }

  function prepare() {
    for (const element of document.querySelectorAll(CLICKABLE)) {
      if (element.hasAttribute("role")) continue;
      const name = nameOf(element);
      element.setAttribute("role", "button");
      element.tabIndex = 0;
      if (name) element.setAttribute("aria-label", name);
    }
    for (const icon of document.querySelectorAll(".material-symbols-outlined:not([aria-hidden], [role])")) {
      icon.setAttribute("aria-hidden", "true");
    }
    for (const button of document.querySelectorAll("button:not([aria-label])")) {
      const name = nameOf(button);
      if (name && button.textContent.trim() === button.querySelector(".material-symbols-outlined")?.textContent.trim()) {
        button.setAttribute("aria-label", name);
      }
    }
    for (const back of document.querySelectorAll("a[title]:not([aria-label])")) {
      back.setAttribute("aria-label", back.title);
    }
    for (const box of document.querySelectorAll(".select2-selection__rendered:not([aria-label])")) {
      const select = box.closest(".select2")?.previousElementSibling;
      const name = select?.closest("form, div")?.querySelector(`label[for="${select.id}"]`)?.textContent.trim() || select?.labels?.[0]?.textContent.trim() || select?.getAttribute("aria-label") || select?.name;
      if (name) box.setAttribute("aria-label", name);
    }
  }

  // A drawer over the page holds the focus while it is open, and gives it back.
  function holdFocus(drawer, opener) {
    const stops = () => [...drawer.querySelectorAll("a[href], button, input, select, [tabindex='0']")].filter((each) => each.offsetParent);
    setTimeout(() => stops()[0]?.focus(), 50);
    drawer.onkeydown = (event) => {
      if (event.key === "Escape") return opener.focus();
      if (event.key !== "Tab") return;
      const all = stops(), end = event.shiftKey ? all[0] : all[all.length - 1];
      if (document.activeElement !== end) return;
      event.preventDefault();
      (event.shiftKey ? all[all.length - 1] : all[0]).focus();
    };
  }

  document.addEventListener("keydown", (event) => {
    const element = event.target.closest?.("[role=button]");
    if (!element || element.matches("button, a[href]") || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    element.click();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("a[x-on\\:click='filterOpen = true']");
    const drawer = document.getElementById("changelist-filter");
    if (opener && drawer) holdFocus(drawer, opener);
  });

  // Parts of pages come later, and some are made by scripts.
  let waiting = 0;
  addEventListener("load", () => {
    prepare();
    new MutationObserver(() => {
      clearTimeout(waiting);
      waiting = setTimeout(prepare, 30);
    }).observe(document.body, { childList: true, subtree: true });
  });
})();
