// The news of the master: server-sent events over fetch, which can show a token. A stream that ends is opened again.

import { hasToken, login, reasonOf, request, wait } from "./api.js";

const SILENCE_MS = 10_000; // The master sends something every 3 s.
const LONGEST_WAIT_MS = 8_000;

export class Feed {
  #on;
  #closing = new AbortController();

  /** `on` has a function for each kind of event, and `login(reason)`, `lost(reason)`. */
  constructor(on) {
    this.#on = on;
  }

  /** News of all, and of this job. */
  open(job) {
    this.#closing.abort();
    this.#closing = new AbortController();
    this.#run(job, this.#closing.signal);
  }

  /** Shows this token from now on. */
  login(token) {
    login(token);
  }

  async #run(job, signal) {
    let failures = 0;
    while (!signal.aborted) {
      const outcome = await this.#stream(job, signal).catch((error) => ({ reason: error.message }));
      if (signal.aborted || outcome.isRefused) return;
      failures = outcome.hadNews ? 0 : failures + 1;
      if (failures > 0) this.#on.lost(outcome.reason);
      const longest = Math.min(LONGEST_WAIT_MS, 500 * 2 ** failures);
      await wait(failures === 0 ? 100 : longest * (0.5 + Math.random() / 2), signal);
    }
  }

  /** One stream, until it ends. */
  async #stream(job, signal) {
    const ending = new AbortController();
    const end = () => ending.abort();
    signal.addEventListener("abort", end, { once: true });
    let silence = setTimeout(end, SILENCE_MS);
    let hadNews = false;
    try {
      const hadToken = hasToken();
      const response = await request(`/api/v1/events${job ? `?job=${encodeURIComponent(job)}` : ""}`, ending.signal);
      if (response.status === 401 || response.status === 403) {
        login(null);
        this.#on.login(hadToken ? (await response.text()).trim() : "");
        return { isRefused: true };
      }
      if (!response.ok) return { reason: await reasonOf(response) };
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { hadNews };
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
        const events = (text + value).split("\n\n");
        text = events.pop();
        for (const event of events) hadNews = this.#take(event) || hadNews;
      }
    } catch (error) {
      return { hadNews, reason: error.message };
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", end);
    }
  }

  /** Whether an event was news, and not a sign of life. */
  #take(event) {
    let kind = "";
    const data = [];
    for (const line of event.split("\n")) {
      if (line.startsWith("event: ")) kind = line.slice(7);
      if (line.startsWith("data: ")) data.push(line.slice(6));
    }
    if (!Object.hasOwn(this.#on, kind) || data.length === 0) return false;
    this.#on[kind](JSON.parse(data.join("\n")));
    return true;
  }
}
