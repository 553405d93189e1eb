// The ranking of a platform, who rises in it, and who is looked for.

import { save } from "./csv.js";
import { Table, byId, say, showFacts } from "./dom.js";
import { Poll } from "./poll.js";
import { count, decimal, moment, plural } from "./words.js";

const EVERY_MS = 2_000;
const FIRST = 200; // As many as one answer has.
const RISING = 10;
const TYPED_MS = 200;

/** A hash that leads to a creator. */
const toCreator = (platform, kol) => `#/kol/${encodeURIComponent(platform)}/${encodeURIComponent(kol)}`;

const name = (r) => ({ text: r.kol_id, href: toCreator(r.platform, r.kol_id) });
const LABEL = ["Label", (r) => ({ text: r.trending_label ?? "unknown", kind: "label" })];
const SCORE = ["Score", (r) => decimal(r.trending_score), (r) => r.trending_score];
const VELOCITY = ["Velocity", (r) => decimal(r.velocity), (r) => r.velocity];
const MOMENTUM = ["Momentum", (r) => decimal(r.momentum), (r) => r.momentum];

export class Rankings {
  #began = new Map(); // Places when this page was opened, by platform.
  #finding;
  #found;
  #platform = null;
  #polls;
  #ranking;
  #rising;
  #shown = [];
  #typed = 0;

  /** `on.answered(answer)` or `on.failed(reason, status)` is called for each answer. */
  constructor(on) {
    this.#ranking = new Table(byId("ranking"), "Ranking", [
      ["Creator", name],
      ["Rank", (r) => count(r.rank), (r) => -r.rank],
      ["Change", (r) => this.#change(r), (r) => this.#gained(r)],
      SCORE, LABEL, VELOCITY, MOMENTUM,
      ["Events", (r) => count(r.event_count), (r) => r.event_count],
      ["Engagements", (r) => count(r.total_engagement), (r) => r.total_engagement],
    ], "No creator yet.");
    this.#rising = new Table(byId("rising"), "Rising fastest", [
      ["Creator", name], MOMENTUM, VELOCITY, SCORE, ["Rank", (r) => count(r.rank)],
    ], "Nobody rises at the moment.");
    this.#found = new Table(byId("found-table"), "Creators that were found", [
      ["Creator", name], ["Rank", (r) => count(r.rank)], SCORE, LABEL, VELOCITY, MOMENTUM,
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
    this.#find();
  }

  close() {
    for (const poll of [...Object.values(this.#polls), this.#finding]) poll.close();
  }

  #show({ data, platform, total, updated_at: at }) {
    this.#shown = data;
    if (!this.#began.has(platform)) this.#began.set(platform, { at: Date.now(), places: new Map(data.map((r) => [r.kol_id, r.rank])) });
    this.#ranking.show(data);
    const rising = data.filter((r) => r.momentum > 0).sort((a, b) => b.momentum - a.momentum);
    this.#rising.show(rising.slice(0, RISING));
    say(byId("ranking-note"), `The first ${count(data.length)} of ${count(total)}, written at ${moment(Date.parse(at))}. `
      + `Changes are those since ${moment(this.#began.get(platform).at)}, when this page was opened.`);
  }

  /** By how many places a creator rose since this page was opened; null for one that came since. */
  #gained(row) {
    const before = this.#began.get(row.platform)?.places.get(row.kol_id);
    return before === undefined ? null : before - row.rank;
  }

  #change(row) {
    const gained = this.#gained(row);
    if (gained === null) return { text: "new", kind: "good" };
    if (gained === 0) return "–";
    const text = `${gained > 0 ? "▲" : "▼"} ${Math.abs(gained)}`;
    return { text, kind: gained > 0 ? "good" : "bad", title: `was ${row.rank + gained}` };
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
    const rows = data.map((r) => ({ ...r, platform, trending_score: r.score, trending_label: r.label }));
    this.#found.show(rows);
    say(byId("found-note"), `${plural(total, "creator")} of the first ${count(searched)}.`);
  }
}
