// The first creators of a job's rankings.

import { Table, byId, choose, say } from "./dom.js";
import { toCreator } from "./links.js";
import { Poll } from "./poll.js";
import { age, count, decimal, moment } from "./words.js";

const EVERY_MS = 1_000;

export class Ranking {
  #job = null;
  #poll;
  #shown = null;
  #table;

  constructor() {
    this.#table = new Table(byId("ranking"), "The first of the ranking", [
      ["Creator", (r) => ({ text: r.kol, href: toCreator(this.#job, this.#shown.platform, r.kol) })],
      ["Rank", (r) => count(r.rank), (r) => -r.rank],
      ["Score", (r) => decimal(r.score), (r) => r.score],
      ["Label", (r) => r.label ?? "unknown"],
      ["Velocity", (r) => decimal(r.velocity), (r) => r.velocity],
      ["Momentum", (r) => decimal(r.momentum), (r) => r.momentum],
      ["Engagements", (r) => count(r.total_engagement), (r) => r.total_engagement],
      ["Events", (r) => count(r.event_count), (r) => r.event_count],
    ], "No creator yet.");
    this.#poll = new Poll(EVERY_MS, {
      answer: (ranking) => this.#show(ranking),
      failed: (reason) => say(byId("ranking-note"), `Not read: ${reason}`),
    });
  }

  /** That of this job, as the URL calls it; of none with null. */
  open(job) {
    this.#job = job;
    this.#shown = null;
    this.#table.show([]);
    say(byId("ranking-note"), "");
    byId("ranking-of").hidden = true;
    if (job === null) this.#poll.close();
    else this.#look("");
  }

  #look(platform) {
    const query = platform ? `?platform=${encodeURIComponent(platform)}` : "";
    this.#poll.open(`/api/v1/jobs/${encodeURIComponent(this.#job)}/ranking${query}`);
  }

  #show(ranking) {
    this.#shown = ranking;
    byId("ranking-of").hidden = ranking.platforms.length < 2;
    choose(byId("ranking-of"), "ranking", ranking.platforms, ranking.platform, (name) => this.#look(name));
    this.#table.show(ranking.data);
    const at = ranking.updated_ms;
    const note = at === null ? "Redis was not written yet." : `On ${ranking.platform}; Redis was written at ${moment(at)}, ${age(ranking.now_ms - at)} ago.`;
    say(byId("ranking-note"), note);
  }
}
