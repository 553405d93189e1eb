// The view of one creator: what the score is made of, as kol-client explain has it.

import { Table, byId, say, showFacts } from "./dom.js";
import { toJob } from "./links.js";
import { Plot, TIME } from "./plots.js";
import { Poll } from "./poll.js";
import { age, count, decimal, moment } from "./words.js";

const EVERY_MS = 5_000;
const DAY_MS = 86_400_000;
const TERMS = 4; // Decimals of a term, as explain prints them.

export class Creator {
  #plot;
  #poll;
  #readings;
  #terms;

  constructor() {
    this.#plot = new Plot("plot-velocity", "Velocity, engagements a minute", ["velocity", "baseline", "market"],
      (value) => decimal(value), { ...TIME, label: "window up to" });
    this.#terms = new Table(byId("terms"), "Terms of the score", [
      ["Term", (t) => t.name],
      ["Value", (t) => t.value],
      ["What it is", (t) => t.what],
    ], "");
    this.#readings = new Table(byId("readings"), "Newest readings", [
      ["Video", (r) => r.video_id || "profile"],
      ["Last read", (r) => ({ text: moment(r.time_ms), title: `${age(r.now_ms - r.time_ms)} ago` }), (r) => r.time_ms],
      ["Likes", (r) => number(r.likes), (r) => r.likes],
      ["Comments", (r) => number(r.comments), (r) => r.comments],
      ["Shares", (r) => number(r.shares), (r) => r.shares],
      ["Views", (r) => number(r.views), (r) => r.views],
      ["Followers", (r) => number(r.followers), (r) => r.followers],
    ], "No readings are kept.");
    this.#poll = new Poll(EVERY_MS, {
      answer: (found) => this.#show(found),
      failed: (reason) => say(byId("creator-note"), `Not looked up: ${reason}`),
    });
  }

  /** This creator from now on, { job, platform, kol } as the URL has them; none with null. */
  open(wanted) {
    byId("creator").classList.add("missing");
    say(byId("creator-note"), "");
    say(byId("creator-score"), "");
    if (wanted === null) {
      this.#poll.close();
      return;
    }
    say(byId("creator-name"), wanted.kol);
    say(byId("creator-job"), wanted.job);
    byId("creator-job").href = toJob(wanted.job);
    const query = new URLSearchParams({ platform: wanted.platform, kol: wanted.kol });
    this.#poll.open(`/api/v1/jobs/${encodeURIComponent(wanted.job)}/creator?${query}`);
  }

  #show(found) {
    byId("creator").classList.remove("missing");
    say(byId("creator-name"), found.kol);
    say(byId("creator-score"), `${decimal(found.trending_score)} ${found.trending_label}`);
    say(byId("creator-note"), `As of ${moment(Date.now())}, from ${count(found.slots)} of the job's partitions.`);
    showFacts(byId("creator-facts"), [
      ["Platform", found.platform],
      ["Window", span(found.window_ms)],
      ["Window end", moment(found.window_end_ms)],
      ["Engagements", count(found.engagement)],
      ["Events", count(found.event_count)],
    ]);
    this.#terms.show(terms(found));
    byId("plot-velocity").parentElement.hidden = found.velocities.length === 0;
    const column = (of) => found.velocities.map(of);
    this.#plot.show([column(([at]) => at / 1000), column(([, v]) => v), column(() => found.baseline), column(() => found.market)]);
    const readings = found.readings.map((reading) => ({ ...reading, now_ms: found.now_ms }));
    this.#readings.show(readings.sort((a, b) => b.time_ms - a.time_ms));
  }
}

const number = (value) => value === null ? "–" : count(value);

const termsOfRising = (found, term) => [
  term("v", found.velocity, "velocity: engagements a minute in the window, with what is provisional"),
  term("provisional", found.provisional, "the part of v that assumes newest rates to go on"),
  term("b", found.usual, found.newcomer === 1 ? "none: a newcomer, whose history is shorter than three windows" : "usual: its own baseline"),
  term("c", found.market, "the platform's median, at least 10 engagements a window"),
  term("g", found.growth, found.newcomer === 1 ? "growth: 0 of a newcomer" : "growth: log2((v + c) / (b + c)), doublings"),
  term("s", found.rising, "rising: g + 0.2 × log2(1 + v / c)"),
  term("score", found.trending_score, "a curve through (−0.5, 25), (0.6, 40), (1.3, 60), (2, 80)"),
];

/** A window: whole days, hours or minutes. */
const span = (ms) => ms % DAY_MS === 0 ? `${ms / DAY_MS} d` : age(ms);

/** The formula with its numbers, in the order in which they follow from each other. */
const terms = (found) => {
  const term = (name, value, what) => ({ name, value: decimal(value, TERMS), what });
  if (found.rising !== undefined) return termsOfRising(found, term);
  const { weights, curve } = found;
  const [growth, position, momentum] = [found.personal_growth, found.market_position, found.momentum]
    .map((value) => decimal(value, TERMS));
  const whose = found.own_baseline ? "its own" : "the market's, as its history is shorter than three windows";
  return [
    term("v", found.velocity, "velocity: engagements a minute in the window"),
    term("v′", found.previous_velocity, "the same, one window earlier"),
    term("b", found.baseline, `baseline: ${whose}`),
    term("m", found.market, "the market's mean"),
    term("growth", found.personal_growth, "v / max(b, floor)"),
    term("position", found.market_position, "v / max(m, floor)"),
    term("momentum", found.momentum, "change from v′ to v, relative to v′"),
    term("raw", found.raw_score,
      `${weights.personal} × ${growth} growth + ${weights.market} × ${position} position + `
      + `${weights.momentum} × (1 + ${momentum})`),
    term("score", found.trending_score, `100 / (1 + exp(−${curve.steepness} × (raw − ${curve.midpoint})))`),
  ];
};
