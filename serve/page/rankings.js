// The ranking of a platform, who rises in it, and who is looked for.

import { save } from "./csv.js";
import { Curves } from "./curves.js";
import { Table, byId, choose, say, showFacts } from "./dom.js";
import { Poll } from "./poll.js";
import { UNKNOWN, count, decimal, moment, plural } from "./words.js";

const EVERY_MS = 2_000;
const FIRST = 200; // As many as one answer has.
const RISING = 10;
const TYPED_MS = 200;
const SPANS = { "an hour ago": "1h", "a day ago": "24h" };

/** A hash that leads to a creator. */
const toCreator = (platform, kol) => `#/kol/${encodeURIComponent(platform)}/${encodeURIComponent(kol)}`;

const name = (r) => ({ text: r.kol_id, href: toCreator(r.platform, r.kol_id) });
const LABEL = ["Label", (r) => ({ text: r.trending_label ?? "unknown", kind: "label" })];
const SCORE = ["Score", (r) => decimal(r.trending_score), (r) => r.trending_score];
const VELOCITY = ["Velocity", (r) => decimal(r.velocity), (r) => r.velocity];
const MOMENTUM = ["Momentum", (r) => decimal(r.momentum), (r) => r.momentum];
const RANK = ["Rank", (r) => count(r.rank), (r) => -r.rank];

/** How a place has changed since then. */
const changed = (since) => (row) => {
  const span = SPANS[since];
  const gained = row[`change_${span}`];
  if (row[`new_${span}`]) return { text: "new", kind: "good", title: `was not in the ranking that is kept of ${since}` };
  if (gained === undefined) return UNKNOWN;
  if (gained === 0) return { text: "–", spoken: "unchanged", title: `was ${count(row.rank)} ${since}, too` };
  const [arrow, way, kind] = gained > 0 ? ["▲", "up", "good"] : ["▼", "down", "bad"];
  const places = Math.abs(gained);
  return { text: `${arrow} ${count(places)}`, spoken: `${plural(places, "place")} ${way}`, kind, title: `was ${count(row.rank + gained)} ${since}` };
};

/** Columns with the changes since an hour and a day ago. New ones are more than all others, and unknown ones less. */
const CHANGES = Object.entries(SPANS).map(([since, span]) =>
  [`Since ${since}`, changed(since), (r) => r[`new_${span}`] ? Infinity : r[`change_${span}`] ?? -Infinity]);

/** Rows of a list, as those of a detailed one. */
const listed = (data, platform) => data.map((r) => ({ ...r, platform, trending_score: r.score, trending_label: r.label }));

export class Rankings {
  #curves = new Curves({ changed: () => this.#ranking.show(this.#shown) });
  #finding;
  #found;
  #platform = null;
  #polls;
  #ranking;
  #rises;
  #rising;
  #shown = [];
  #since = Object.keys(SPANS)[0];
  #typed = 0;

  /** `on.answered(answer)` or `on.failed(reason, status)` is called for each answer. */
  constructor(on) {
    this.#ranking = new Table(byId("ranking"), "Ranking", [
      ["Creator", name],
      RANK, ...CHANGES, SCORE,
      ["Score, last day", (r) => this.#curves.cell(r.kol_id), (r) => this.#curves.change(r.kol_id) ?? -Infinity],
      LABEL, VELOCITY, MOMENTUM,
      ["Events", (r) => count(r.event_count), (r) => r.event_count],
      ["Engagements", (r) => count(r.total_engagement), (r) => r.total_engagement],
    ], "No creator yet.");
    this.#rising = new Table(byId("rising"), "Rising fastest", [
      ["Creator", name], RANK, ...CHANGES, SCORE, LABEL, VELOCITY, MOMENTUM,
    ], "Nobody has gained a place.");
    this.#found = new Table(byId("found-table"), "Creators that were found", [
      ["Creator", name], RANK, ...CHANGES, SCORE, LABEL, VELOCITY, MOMENTUM,
    ], "Nobody.");
    const poll = (show) => new Poll(EVERY_MS, {
      answer: (answer) => {
        on.answered(answer);
        show(answer);
      },
      failed: on.failed,
    });
    this.#polls = { ranking: poll((answer) => this.#show(answer)), stats: poll((answer) => this.#facts(answer)) };
    this.#finding = poll((answer) => this.#showFound(answer));
    // Whether what is shown is still true, the ranking says.
    this.#rises = new Poll(EVERY_MS, { answer: (answer) => this.#showRising(answer), failed: on.failed });
    byId("search").addEventListener("submit", (event) => event.preventDefault());
    byId("sought").addEventListener("input", () => {
      clearTimeout(this.#typed);
      this.#typed = setTimeout(() => this.#find(), TYPED_MS);
    });
    byId("download").addEventListener("click", () => save(`trending-${this.#platform}.csv`, this.#shown));
  }

  /** Those of this platform from now on. */
  open(platform) {
    this.#platform = platform;
    const of = encodeURIComponent(platform);
    this.#polls.ranking.open(`/api/v1/trending/detailed?platform=${of}&limit=${FIRST}`);
    this.#polls.stats.open(`/api/v1/trending/stats?platform=${of}`);
    this.#shown = [];
    this.#curves.open(platform, FIRST);
    this.#rise(this.#since);
    this.#find();
  }

  close() {
    for (const poll of [...Object.values(this.#polls), this.#curves, this.#finding, this.#rises]) poll.close();
  }

  #show({ data, total, updated_at: at }) {
    this.#shown = data;
    this.#ranking.show(data);
    say(byId("ranking-note"), `The first ${count(data.length)} of ${count(total)}, written at ${moment(Date.parse(at))}.`);
  }

  /** Those who rise since then, from now on. */
  #rise(since) {
    this.#since = since;
    choose(byId("since"), "since", Object.keys(SPANS), since, (name) => this.#rise(name));
    this.#rises.open(`/api/v1/trending/climbers?${new URLSearchParams({ platform: this.#platform, span: SPANS[since], limit: RISING })}`);
  }

  #showRising({ data, platform, total, searched, since }) {
    // Without a ranking of then nobody knows who gained a place.
    byId("rising").hidden = since === undefined;
    this.#rising.show(listed(data, platform));
    say(byId("rising-note"), since === undefined
      ? `No ranking of ${this.#since} is kept.`
      : `${plural(total, "creator")} of the first ${count(searched)} gained places since the ranking of ${moment(Date.parse(since))}.`);
  }

  #facts({ total, labels, mean_score: mean, max_score: most }) {
    showFacts(byId("facts"), [
      ["Creators", count(total)],
      ...Object.entries(labels).map(([label, number]) => [label, count(number)]),
      ["Mean score", decimal(mean)],
      ["Highest score", decimal(most)],
    ]);
  }

  #find() {
    const sought = byId("sought").value.trim();
    byId("found").hidden = sought === "";
    if (sought === "") this.#finding.close();
    else this.#finding.open(`/api/v1/search?${new URLSearchParams({ q: sought, platform: this.#platform, limit: 50 })}`);
  }

  #showFound({ data, total, searched, platform }) {
    this.#found.show(listed(data, platform));
    say(byId("found-note"), `${plural(total, "creator")} of the first ${count(searched)}.`);
  }
}
