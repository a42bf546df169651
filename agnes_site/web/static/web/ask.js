// Asking the server something that takes a while: it answers with a question, which is followed
// until it is answered, fails or is cancelled.
(function () {
  const QUESTIONS = "/api/admin/questions/";
  const POLL_MS = 500, POLL_LATER_MS = 1500, LATER_AFTER = 20;

  class Refused extends Error {
    constructor(status, body) {
      const error = body.error || body;
      super(error.message || "The server could not do this.");
      this.hint = error.hint || (status >= 500 ? "Try again in a moment." : "");
      this.code = error.code || "";
      this.errors = body.errors || null;
      this.status = status;
    }
  }

  class Cancelled extends Error {}

  async function call(method, url, body) {
    const token = document.querySelector("[name=csrfmiddlewaretoken]");
    const headers = { Accept: "application/json", "X-CSRFToken": token ? token.value : "" };
    const isForm = body instanceof FormData;
    if (body && !isForm) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(url, {
        method, headers, credentials: "same-origin",
        body: body && !isForm ? JSON.stringify(body) : body,
      });
    } catch {
      throw new Refused(0, { message: "The server cannot be reached.", hint: "Look at your connection, then try again." });
    }
    const text = await answer.text();
    let found = {};
    try { found = text ? JSON.parse(text) : {}; } catch {
      if (answer.redirected || answer.status < 400) found = { message: "You were signed out.", hint: "Sign in in another tab, then try again." };
      throw new Refused(answer.status, found);
    }
    if (!answer.ok) throw new Refused(answer.status, found);
    return found;
  }

  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  // Returns { answer: promise, cancel() }; `tell` is called with the words of where it is.
  function ask(method, url, body, tell) {
    let isCancelled = false, id = null;
    async function follow() {
      let question = await call(method, url, body);
      id = question.id;
      for (let times = 0; question.state === "asking"; times++) {
        if (isCancelled) break;
        if (tell) tell(question.message || "");
        await pause(times < LATER_AFTER ? POLL_MS : POLL_LATER_MS);
        question = await call("GET", QUESTIONS + id);
      }
      if (isCancelled || question.state === "cancelled") throw new Cancelled("Cancelled.");
      if (question.state === "failed") throw new Refused(question.error.status || 500, question.error);
      return question;
    }
    return {
      answer: follow(),
      cancel() {
        isCancelled = true;
        if (id) call("DELETE", QUESTIONS + id).catch(() => {});
      },
    };
  }

  window.agnes = { ask, call, Cancelled, Refused };
})();
