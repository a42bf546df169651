// Choosing tables of a source: ask what it offers, choose, register, and watch the first rows come.
(function () {
  const PAGE = 50, WATCHED = 200, POLL_MS = 1000, AT_ONCE = 50;
  const OPEN = ["queued", "running"];
  const TONES = { queued: "plain", running: "busy", succeeded: "good", failed: "bad", refused: "bad", cancelled: "warn", registered: "good" };
  const NOBODY = "00000000-0000-0000-0000-000000000000";
  const SLUG = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
  const grouped = new Intl.NumberFormat("en-US");

  function offered(spec, number) {
    return {
      number, id: spec.upstream_id, bucket: spec.bucket || folderOf(spec.source_table),
      place: { bucket: spec.bucket, source_table: spec.source_table, options: spec.options },
      name: spec.name, registeredAs: spec.registered_as || "", takenName: spec.taken_name || "",
      description: spec.description, problem: spec.problem || "", columns: spec.columns.length,
      columnNames: spec.columns.slice(0, 40).map((each) => each.name).join(", "),
      sought: (spec.upstream_id + " " + spec.name + " " + spec.description + " " + spec.columns.map((each) => each.name).join(" ")).toLowerCase(),
      rows: spec.rows, bytes: spec.bytes, key: spec.primary_key.join(", "), chosen: false, refusal: "", conflict: "",
    };
  }

  const isFree = (offer) => !offer.registeredAs && !offer.problem;

  function folderOf(place) {
    const cut = place.lastIndexOf("/");
    return cut < 0 ? "" : place.slice(0, cut);
  }

  function conflictOf(offer, counts) {
    const name = offer.name.trim();
    if (!offer.chosen) return "";
    if (offer.refusal) return offer.refusal;
    if (!name) return "A table needs a name.";
    if (!SLUG.test(name)) return "Letters, digits and _ only, not a digit first, at most 64.";
    if (offer.takenName && name.toLowerCase() === offer.takenName.toLowerCase()) return "Another table has this name.";
    return counts.get(name.toLowerCase()) > 1 ? "Two of the chosen have this name." : "";
  }

  // Everything that is offered stands in `all`, as plain objects: only the page that is shown is
  // watched for changes, so that thousands of tables are as quick as ten.
  const component = (all = []) => ({
    step: "choose", state: "asking", message: "", problem: null, problemAt: "", round: 0,
    question: "", search: "", bucket: "", buckets: [], onlyFree: false, at: 0, page: [], pages: 0,
    offerCount: 0, matchingCount: 0, freeCount: 0, registeredCount: 0, chosenCount: 0, conflicts: 0,
    mode: "local", group: "", folder: "", schedule: "", extract: true,
    watched: [], previewed: null, previewAnswer: null, previewProblem: null,
    asked: null, askedPreview: null, previews: 0, isWatching: false,

    init() {
      for (const filter of ["search", "bucket", "onlyFree"]) this.$watch(filter, () => { this.at = 0; this.refresh(); });
      this.$watch("at", () => this.refresh());
      this.look();
    },

    // What it offers -------------------------------------------------------------------------

    async look() {
      Object.assign(this, { step: "choose", state: "asking", problem: null, message: "Asking the source what it offers…" });
      try {
        this.asked = agnes.ask("POST", this.$root.dataset.api + "discover?wait=0", null, (text) => { this.message = text || this.message; });
        const question = await this.asked.answer;
        this.question = question.id;
        all = question.answer.tables.map(offered);
        this.buckets = [...new Set(all.map((offer) => offer.bucket).filter(Boolean))].sort();
        Object.assign(this, { state: "offered", at: 0 });
        this.refresh();
      } catch (error) {
        this.fail(error);
      }
    },
    fail(error) {
      this.state = "failed";
      this.problem = error instanceof agnes.Cancelled
        ? { message: "The question was cancelled.", hint: "" }
        : { message: error.message, hint: error.hint || "" };
    },
    cancel() { if (this.asked) this.asked.cancel(); },

    matching() {
      const words = this.search.toLowerCase().split(/\s+/).filter(Boolean);
      return all.filter((offer) =>
        (!this.bucket || offer.bucket === this.bucket) && (!this.onlyFree || !offer.registeredAs)
        && words.every((word) => offer.sought.includes(word)));
    },
    chosen() { return all.filter((offer) => offer.chosen); },
    refresh() {
      const matching = this.matching();
      Object.assign(this, {
        offerCount: all.length, matchingCount: matching.length, pages: Math.ceil(matching.length / PAGE),
        freeCount: matching.filter(isFree).length, registeredCount: all.filter((offer) => offer.registeredAs).length,
        page: matching.slice(this.at * PAGE, (this.at + 1) * PAGE), round: this.round + 1,
      });
      this.recount();
    },
    recount() {
      const chosen = this.chosen(), counts = new Map();
      for (const offer of chosen) {
        const name = offer.name.trim().toLowerCase();
        counts.set(name, (counts.get(name) || 0) + 1);
      }
      this.chosenCount = chosen.length;
      this.conflicts = chosen.filter((offer) => conflictOf(offer, counts)).length;
      for (const offer of this.page) offer.conflict = conflictOf(offer, counts);
    },
    get counted() {
      const parts = [this.numbers(this.offerCount)];
      if (this.registeredCount) parts.push(`${this.numbers(this.registeredCount)} registered`);
      if (this.chosenCount) parts.push(`${this.numbers(this.chosenCount)} chosen`);
      return parts.join(" · ");
    },
    get isPageChosen() {
      const free = this.page.filter(isFree);
      return free.length > 0 && free.every((offer) => offer.chosen);
    },
    chooseAll(isChosen) {
      for (const offer of isChosen ? this.matching().filter(isFree) : this.chosen()) offer.chosen = isChosen;
      this.refresh();
    },
    choosePage(isChosen) {
      for (const offer of this.page.filter(isFree)) offer.chosen = isChosen;
      this.recount();
    },
    rename(offer) {
      Object.assign(offer, { refusal: "", chosen: true });
      this.recount();
    },

    // A look inside --------------------------------------------------------------------------

    async preview(offer) {
      Object.assign(this, { previewed: offer, previewAnswer: null, previewProblem: null });
      this.$refs.dialog.showModal();
      this.askedPreview = agnes.ask("POST", this.$root.dataset.api + "preview?wait=0", offer.place);
      const number = ++this.previews;
      try {
        const question = await this.askedPreview.answer;
        if (number === this.previews) this.previewAnswer = question.answer;
      } catch (error) {
        if (number === this.previews) this.previewProblem = { message: error.message, hint: error.hint || "" };
      }
    },
    stopPreview() {
      if (!this.previewAnswer && !this.previewProblem) this.askedPreview.cancel();
      this.previews++;
    },

    // Registering ----------------------------------------------------------------------------

    get registerLabel() {
      const count = this.chosenCount;
      const tables = count === 1 ? "1 table" : this.numbers(count) + " tables";
      return (this.brings ? "Register and extract " : "Register ") + (count ? tables : "");
    },
    get isRemote() { return this.mode === "remote"; },
    get brings() { return this.extract && !this.isRemote; },
    async register() {
      const tables = Object.fromEntries(this.chosen().map((offer) => [offer.id, offer.name.trim()]));
      Object.assign(this, { step: "watch", state: "registering", problem: null, watched: [], message: "Registering…" });
      this.setWay(2);
      try {
        this.asked = agnes.ask("POST", this.$root.dataset.api + "register?wait=0", {
          tables, question: this.question, query_mode: this.mode, folder: this.folder.trim(),
          sync_schedule: this.isRemote ? "" : this.schedule.trim(), group: this.group, extract: this.brings,
        }, (text) => { this.message = text || this.message; });
        this.take((await this.asked.answer).answer);
      } catch (error) {
        this.setWay(1);
        Object.assign(this, { step: "choose", state: "offered" });
        if (error.code === "question_not_found") return this.look();
        this.problem = error instanceof agnes.Cancelled
          ? { message: "Stopped. What was registered until then stays.", hint: "Look again to see it." }
          : { message: error.message, hint: error.hint || "" };
      }
    },
    take(outcome) {
      const known = new Map(all.map((offer) => [offer.id, offer]));
      for (const each of outcome.registered) {
        const offer = known.get(each.upstream_id);
        if (offer) Object.assign(offer, { chosen: false, registeredAs: each.name });
      }
      for (const each of outcome.refused) {
        const offer = known.get(each.upstream_id);
        if (offer) offer.refusal = each.message + " " + each.hint;
      }
      this.refresh();
      this.watched = [
        ...outcome.refused.map((each) => ({ ...each, state: "refused", phase: "", rows: null, run: "", table: "", problem: each.message + " " + each.hint })),
        ...outcome.registered.map((each) => ({ ...each, state: each.run ? "queued" : "registered", phase: "", rows: null, problem: "" })),
      ];
      if (!outcome.registered.length && outcome.refused.length) {
        // Nothing came of it: the names are mended where they stand.
        const first = outcome.refused[0];
        const same = outcome.refused.every((each) => each.message === first.message);
        Object.assign(this, { step: "choose", state: "offered", problem: { message: same ? first.message : "None of them could be registered; what is wrong stands beside each.", hint: same ? first.hint : "" } });
        if (same && outcome.refused.length > 1) for (const each of outcome.refused) known.get(each.upstream_id).refusal = "";
        this.refresh();
        this.setWay(1);
        return;
      }
      this.state = "watching";
      this.$nextTick(() => this.$refs.watched.focus());
      this.watch();
    },

    // Watching -------------------------------------------------------------------------------

    async watch() {
      if (this.isWatching) return;
      this.isWatching = true;
      try {
        while (true) {
          const open = this.watched.filter((each) => each.run && OPEN.includes(each.state)).slice(0, AT_ONCE);
          if (!open.length) return;
          const wanted = new URLSearchParams(open.map((each) => ["id", each.run]));
          try {
            const found = new Map((await agnes.call("GET", `/api/runs?limit=${AT_ONCE}&${wanted}`)).map((run) => [run.id, run]));
            for (const each of open) this.update(each, found.get(each.run));
            this.problem = null;
          } catch (error) {
            this.problem = { message: error.message, hint: "The runs go on; this page asks again by itself." };
          }
          await new Promise((done) => setTimeout(done, POLL_MS));
        }
      } finally { this.isWatching = false; }
    },
    update(each, run) {
      if (!run) return Object.assign(each, { state: "cancelled", phase: "", problem: "The run is gone." });
      const share = run.total ? ` ${this.numbers(run.done)} of ${this.numbers(run.total)}` : run.done ? ` ${this.numbers(run.done)}` : "";
      const waiting = run.state === "queued" ? "waiting for a worker" : "";
      Object.assign(each, {
        state: run.state, phase: OPEN.includes(run.state) ? (run.phase || waiting) + share : "", rows: run.rows,
        problem: run.error ? [run.error.message, run.error.hint].filter(Boolean).join(" ") : "",
      });
    },
    async again(each) {
      try {
        const asked = await agnes.call("POST", "/api/sync/trigger", { tables: [each.name] });
        Object.assign(each, { run: asked.runs[0].id, state: "queued", problem: "", phase: "" });
        this.watch();
      } catch (error) {
        each.problem = error.message + " " + (error.hint || "");
      }
    },
    chooseMore() {
      this.setWay(1);
      this.look();
    },
    get watchedShown() {
      const weight = (each) => (TONES[each.state] === "bad" ? 0 : each.state === "running" ? 1 : each.state === "queued" ? 2 : 3);
      return this.watched.length <= WATCHED ? this.watched : [...this.watched].sort((one, other) => weight(one) - weight(other)).slice(0, WATCHED);
    },
    get overCount() { return this.watched.filter((each) => !OPEN.includes(each.state)).length; },
    get failedCount() { return this.watched.filter((each) => TONES[each.state] !== "good" && !OPEN.includes(each.state)).length; },
    get isOver() { return this.state === "watching" && this.overCount === this.watched.length; },
    get verdict() {
      if (this.state === "registering") return "Registering";
      const all = this.watched.length, tables = all === 1 ? "1 table" : `${this.numbers(all)} tables`;
      if (!this.isOver) return `${this.numbers(this.overCount)} of ${tables} done`;
      if (this.failedCount) return `${this.numbers(this.failedCount)} of ${tables} need you`;
      if (!this.watched.some((each) => each.run)) return all === 1 ? "The table is registered" : `All ${tables} are registered`;
      return all === 1 ? "The table has its first rows" : `All ${tables} have their first rows`;
    },

    // Small things ---------------------------------------------------------------------------

    setWay(now) {
      this.$root.querySelectorAll(".ag-way li").forEach((item, number) => item.setAttribute("aria-current", number === now ? "step" : "false"));
    },
    tone(each) { return TONES[each.state] || "plain"; },
    tableUrl(each) { return this.$root.dataset.tableUrl.replace(NOBODY, each.table); },
    runUrl(each) { return this.$root.dataset.runUrl.replace(NOBODY, each.run); },
    numbers(count) { return grouped.format(count); },
    size(bytes) {
      if (bytes === null || bytes === undefined) return "";
      const units = ["B", "kB", "MB", "GB", "TB"];
      let at = 0;
      while (bytes >= 1000 && at < units.length - 1) { bytes /= 1000; at += 1; }
      return (at && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)) + " " + units[at];
    },
  });

  const register = () => window.Alpine.data("chooseTables", () => component());
  if (window.Alpine) register();
  else document.addEventListener("alpine:init", register, { once: true });
})();
