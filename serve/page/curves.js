// The score of each creator over the last day, as a small line.

import { Poll } from "./poll.js";
import { UNKNOWN, decimal } from "./words.js";

const EVERY_MS = 30_000; // A ranking is kept each minute at most.

export class Curves {
  #lines = new Map();
  #poll;
  #times = [];

  /** `on.changed()` is called when there are new ones. */
  constructor(on) {
    // Without them the ranking is as true as with them: it says what cannot be read.
    this.#poll = new Poll(EVERY_MS, {
      answer: (answer) => {
        this.#take(answer);
        on.changed();
      },
      failed: () => {},
    });
  }

  /** Those of the first of this platform from now on. */
  open(platform, first) {
    this.#take({ data: [], times: [] });
    this.#poll.open(`/api/v1/trending/curves?${new URLSearchParams({ platform, limit: first })}`);
  }

  close() {
    this.#poll.close();
  }

  #take({ data, times }) {
    this.#times = times.map((time) => Date.parse(time));
    this.#lines = new Map(data.map(({ kol_id: kol, scores }) => [kol, scores]));
  }

  /** By how much a score has changed since the first one that is kept; undefined where fewer than two are. */
  change(kol) {
    const known = this.#known(kol);
    return known.length < 2 ? undefined : known.at(-1) - known[0];
  }

  /** What stands in the cell of a creator. */
  cell(kol) {
    const known = this.#known(kol);
    if (known.length < 2) return UNKNOWN;
    const [first, last, least, most] = [known[0], known.at(-1), Math.min(...known), Math.max(...known)];
    const [begin, length] = [this.#times[0], this.#times.at(-1) - this.#times[0]];
    const height = (score) => most > least ? (score - least) / (most - least) : 0.5;
    const curve = this.#lines.get(kol).map((score, at) => score === null ? null : [(this.#times[at] - begin) / length, height(score)]);
    const spoken = `from ${decimal(first)} to ${decimal(last)}`;
    return { text: "", spoken, title: `${spoken}, least ${decimal(least)}, most ${decimal(most)}`, curve };
  }

  #known(kol) {
    return (this.#lines.get(kol) ?? []).filter((score) => score !== null);
  }
}
