// Pages outside of the admin take the theme that was chosen in it, else that of the system.
(function () {
  const chosen = (localStorage.getItem("adminTheme") || "auto").replaceAll('"', "");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark", chosen === "dark" || (chosen === "auto" && dark));
})();
