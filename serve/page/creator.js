// The view of one creator.

import { byId, say, showFacts } from "./dom.js";
import { Plot, TIME } from "./plots.js";
import { Poll } from "./poll.js";
import { count, decimal, moment } from "./words.js";

const EVERY_MS = 2_000;
const RANKS_EVERY_MS = 10_000;
const HISTORY = 900; // Points of the curve: half an hour.

export class Creator {
  #plot;
  #poll;
  #ranks;
  #ranksPlot;
  #scores = [[], []];

  /** `on.answered(answer)` or `on.failed(reason, status)` is called for each answer. */
  constructor(on) {
    this.#plot = new Plot("plot-score", "Score", ["score"], (value) => decimal(value), TIME);
    this.#ranksPlot = new Plot("plot-rank", "Rank", ["rank"], (value) => count(value), TIME, "place");
    // One that is not known, or cannot be read, the other view says.
    this.#ranks = new Poll(RANKS_EVERY_MS, { answer: (answer) => this.#showRanks(answer), failed: () => {} });
    this.#poll = new Poll(EVERY_MS, {
      answer: (creator) => {
        on.answered(creator);
        this.#show(creator);
      },
      failed: (reason, status) => {
        if (status !== 404) return on.failed(reason, status);
        byId("content").hidden = false;
        say(byId("creator-note"), reason);
      },
    });
  }

  /** This one from now on. */
  open({ platform, kol }) {
    this.#scores = [[], []];
    byId("creator").classList.add("missing");
    say(byId("creator-name"), kol);
    say(byId("creator-score"), "");
    say(byId("creator-note"), "");
    byId("ranks").hidden = true;
    const [path, of] = [`/api/v1/kols/${encodeURIComponent(kol)}`, `platform=${encodeURIComponent(platform)}`];
    this.#poll.open(`${path}?${of}`);
    this.#ranks.open(`${path}/history?${of}`);
  }

  close() {
    this.#poll.close();
    this.#ranks.close();
  }

  #showRanks({ data }) {
    byId("ranks").hidden = !data.some((point) => point.rank !== undefined);
    this.#ranksPlot.show([data.map((point) => Date.parse(point.at) / 1_000), data.map((point) => point.rank ?? null)]);
  }

  #show(creator) {
    byId("creator").classList.remove("missing");
    say(byId("creator-name"), creator.kol_id);
    say(byId("creator-score"), `${decimal(creator.trending_score)} ${creator.trending_label ?? ""}`);
    say(byId("creator-note"), `On ${creator.platform}, written at ${moment(Date.parse(creator.updated_at))}.`);
    showFacts(byId("creator-facts"), [
      ["Rank", count(creator.rank)],
      ["Velocity, a minute", decimal(creator.velocity)],
      ["Momentum", decimal(creator.momentum)],
      ["Growth, against its own baseline", decimal(creator.personal_growth)],
      ...ofProfile(creator),
      ["Engagements", count(creator.total_engagement)],
      ["Events", count(creator.event_count)],
      ["Window end", moment(Date.parse(creator.window_end))],
    ]);
    const [times, scores] = this.#scores;
    times.push(Date.now() / 1_000);
    scores.push(creator.trending_score ?? null);
    for (const column of this.#scores) if (column.length > HISTORY) column.shift();
    this.#plot.show([times, scores]);
  }
}

/** What only some profiles of scoring have. */
const ofProfile = (creator) => creator.rising === undefined ? [
  ["Position, against the market", decimal(creator.market_position)],
  ["Raw score", decimal(creator.raw_score)],
] : [
  ["Doublings over what is usual", creator.newcomer === 1 ? "a newcomer" : decimal(creator.growth)],
  ["Usual velocity", creator.newcomer === 1 ? "not known yet" : decimal(creator.usual)],
  ["Of the velocity provisional", decimal(creator.provisional)],
  ["Rising", decimal(creator.rising)],
];
