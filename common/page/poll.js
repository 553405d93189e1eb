// What a view looks up beside the news: again and again, while it is open and seen.

import { reasonOf, request, wait } from "./api.js";

const LONGEST_MS = 10_000;

export class Poll {
  #closing = new AbortController();
  #every;
  #on;

  /** Looks each `every` ms; `on.answer(value)` or `on.failed(reason, status)` is called each time. */
  constructor(every, on) {
    this.#every = every;
    this.#on = on;
  }

  /** Looks at this path from now on, and at once. */
  open(path) {
    this.close();
    this.#closing = new AbortController();
    this.#run(path, this.#closing.signal);
  }

  close() {
    this.#closing.abort();
  }

  async #run(path, signal) {
    while (!signal.aborted) {
      if (!document.hidden) await this.#look(path, signal);
      await wait(this.#every, signal);
    }
  }

  async #look(path, signal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
    let [reason, status] = ["", 0];
    try {
      const response = await request(path, limit);
      if (response.ok) {
        const value = await response.json();
        if (!signal.aborted) this.#on.answer(value);
        return;
      }
      status = response.status;
      reason = await reasonOf(response);
    } catch (error) {
      reason = error.message;
    }
    if (!signal.aborted) this.#on.failed(reason, status);
  }
}
