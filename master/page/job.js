// The view of one job.

import { Table, byId, choose, create, repeat, say, showFacts } from "./dom.js";
import { epochAge, isOver, state } from "./overview.js";
import { EPOCH, Plot, TIME } from "./plots.js";
import { Ranking } from "./ranking.js";
import { UNKNOWN, age, bytes, count, moment, plural, rate } from "./words.js";

const HISTORY = 600; // Points of a curve: ten minutes.
const EPOCHS = 120;
const RECENT_MS = 600_000;

const HEAT = {
  Lag: { of: (p) => p.lag_records, show: count },
  Rate: { of: (p) => p.events_per_second, show: rate },
  Owner: { of: (p) => p.executor_id || null, show: (id) => id ?? "no owner" },
  Moves: { of: (p, now) => p.moving_to ? 0 : p.since_ms && now - p.since_ms, show: (ms) => ms === 0 ? "moving" : age(ms) },
};

/** What the time of an epoch went to, from its beginning to its end. */
const SPENT = [["align and commit", "align_ms"], ["copy", "copy_ms"], ["write", "write_ms"], ["Redis", "redis_ms"]];

const nameOf = (part) => `${part.topic}/${part.partition}`;

export class Job {
  #epochs;
  #heat = "Lag";
  #job = null;
  #kept = new Map();
  #now = 0;
  #pace = [[], [], []];
  #partitions;
  #plots;
  #ranking = new Ranking();
  #rejects;
  #savepoints;

  constructor() {
    this.#plots = {
      rate: new Plot("plot-rate", "Events a second", ["events/s"], rate, TIME),
      lag: new Plot("plot-lag", "Lag, records", ["records"], count, TIME),
      took: new Plot("plot-took", "What the time of an epoch went to", SPENT.map(([name]) => name), age, EPOCH, "number", true),
      bytes: new Plot("plot-bytes", "Bytes written by an epoch", ["written"], bytes, EPOCH, "bytes"),
    };
    this.#partitions = new Table(byId("partitions"), "Partitions", [
      ["Partition", (p) => ({ text: nameOf(p), title: p.why }), (p) => p.partition],
      ["State", (p) => partState(p)],
      ["Executor", (p) => owner(p), (p) => p.executor_id],
      ["Lag", (p) => count(p.lag_records), (p) => p.lag_records],
      ["Lag in time", (p) => age(p.lag_ms), (p) => p.lag_ms],
      ["Events/s", (p) => rate(p.events_per_second), (p) => p.events_per_second],
      ["Creators", (p) => count(p.kols), (p) => p.kols],
      ["State size", (p) => bytes(p.state_bytes), (p) => p.state_bytes],
      ["Here since", (p) => ({ text: moment(p.since_ms), title: p.moves_when }), (p) => p.since_ms],
      ["Paused", (p) => p.paused_ms === null ? "–" : age(p.paused_ms), (p) => p.paused_ms],
    ], "No partitions yet.");
    this.#epochs = new Table(byId("epochs"), "Epochs that are kept", [
      ["Epoch", (e) => count(e.epoch)],
      ["Begun", (e) => moment(e.begun_ms)],
      ["Took", (e) => age(e.took_ms)],
      ["Reading paused", (e) => age(e.pause_us === null ? null : e.pause_us / 1000)],
      ["Durable after", (e) => age(e.durable_ms)],
      ["Redis after", (e) => age(e.confirmed_ms)],
      ["Written", (e) => bytes(e.written_bytes)],
      ["State", (e) => `${bytes(e.state_bytes)} in ${plural(e.files, "file")}`],
    ], "No epoch yet.");
    this.#savepoints = new Table(byId("savepoints"), "Savepoints", [
      ["Savepoint", (s) => s.id],
      ["Made", (s) => moment(s.made_ms)],
      ["Epoch", (s) => count(s.epoch)],
      ["Size", (s) => bytes(s.bytes)],
      ["Creators", (s) => count(s.kols)],
      ["Where", (s) => s.location],
    ], "None. kol-client savepoint JOB takes one.");
    this.#rejects = new Table(byId("rejects"), "Records and events that were rejected", [
      ["Reason", (r) => r.reason],
      ["Count", (r) => count(r.count)],
    ], "None.");
    this.#chooseHeat();
  }

  #chooseHeat() {
    choose(byId("heat-of"), "heat", Object.keys(HEAT), this.#heat, (name) => {
      this.#heat = name;
      if (this.#job) this.#paint();
    });
  }

  /** Another one is shown from now on, as the URL calls it; none with null. */
  open(name) {
    this.#ranking.open(name);
    this.#job = null;
    this.#kept.clear();
    this.#pace = [[], [], []];
  }

  /** `now` is the master's wall clock. */
  show(job, now) {
    this.#job = job;
    this.#now = now;
    byId("job").classList.toggle("missing", Boolean(job.error));
    say(byId("job-name"), job.name);
    if (job.error) {
      say(byId("job-state"), `${job.error.code}: ${job.error.message}. ${job.error.help}`);
      return;
    }
    say(byId("job-state"), job.reason ? `${job.state}: ${job.reason}` : job.state);
    byId("job-state").className = state(job.state).kind;
    this.#facts(job);
    this.#curves(job);
    this.#partitions.show(job.partition_list);
    this.#paint();
    this.#epochs.show(job.checkpoints);
    this.#savepoints.show(job.savepoints);
    this.#rejects.show(Object.entries(job.rejected).map(([reason, number]) => ({ reason, count: number })));
    const ahead = job.last_ahead;
    say(byId("ahead"), ahead ? `The newest one that claims to be of the future: ${ahead.topic}/${ahead.partition} at offset `
      + `${ahead.offset}, of ${ahead.kol} on ${ahead.platform}, for ${moment(ahead.event_ms)}.` : "");
    this.#spec(job);
  }

  /** The effective spec, and in what it differs from the one before. */
  #spec(job) {
    say(byId("spec"), JSON.stringify(job.spec, null, 2));
    const { before } = job;
    const changes = before?.differences ?? [];
    const since = before && `the one of ${moment(before.submitted_ms)} (${before.job_id})`;
    say(byId("changed"), !before ? "No job of this name was there before, as far as is on record."
      : before.differences === null ? `It cannot be compared with ${since}: another version wrote that.`
        : changes.length === 0 ? `The same as ${since}.` : `${plural(changes.length, "difference")} from ${since}:`);
    repeat(byId("changes"), changes, () => create("li"), say);
  }

  #facts(job) {
    const live = isOver(job) ? [] : [
      ["Events/s", rate(job.events_per_second)],
      ["Lag", count(job.lag_records)],
      ["Lag in time", age(job.lag_ms)],
      ...job.rekeying ? [["Re-keyed through", job.rekeying.topic], ["Lag before that topic", count(job.rekeying.lag_records)]] : [],
      ["Redis behind", age(job.staleness_ms)],
    ];
    const markets = Object.entries(job.market).map(([platform, mean]) => `${platform} ${mean}`);
    const facts = [
      ...live,
      ["Last epoch", epochAge(job, this.#now)],
      ["Epochs failed", count(job.checkpoint?.failures ?? null)],
      ["Events", count(job.events_total)],
      ["Late", count(job.late_total)],
      ["Lost", count(job.lost_total)],
      ["Creators", count(job.kols)],
      ["State size", bytes(job.state_bytes)],
      ["Job clock", moment(job.clock_ms)],
      ["Window end", moment(job.window_end_ms)],
      ["Market", markets.join(", ") || UNKNOWN],
      ["Generation", count(job.generation)],
      ["Submitted", moment(job.submitted_ms)],
      ["Began with", job.origin || "no state"],
      ["Id", job.job_id],
    ];
    showFacts(byId("facts"), facts);
  }

  #curves(job) {
    const [times, rates, lags] = this.#pace;
    times.push(this.#now / 1000);
    rates.push(job.events_per_second);
    lags.push(job.lag_records);
    for (const column of this.#pace) if (column.length > HISTORY) column.shift();
    this.#plots.rate.show([times, rates]);
    this.#plots.lag.show([times, lags]);
    // Only the last few are kept by the master: this page remembers those that it saw.
    for (const epoch of job.checkpoints) this.#kept.set(epoch.epoch, epoch);
    const epochs = [...this.#kept.values()].sort((a, b) => a.epoch - b.epoch).slice(-EPOCHS);
    this.#kept = new Map(epochs.map((epoch) => [epoch.epoch, epoch]));
    byId("plot-took").parentElement.hidden = epochs.length === 0;
    const column = (key) => epochs.map((epoch) => epoch[key]);
    const spent = SPENT.map(([, key]) => epochs.map((epoch) => epoch.spent?.[key] ?? null));
    this.#plots.took.show([column("epoch"), ...spent]);
    this.#plots.bytes.show([column("epoch"), column("written_bytes")]);
  }

  #paint() {
    const { of, show } = HEAT[this.#heat];
    const parts = this.#job.partition_list;
    const values = parts.map((part) => part.executor_id ? of(part, this.#now) : null);
    const owners = [...new Set(parts.map((part) => part.executor_id).filter(Boolean))].sort();
    const most = Math.max(1, ...values.filter((value) => typeof value === "number"));
    const level = (value) => {
      if (value === null || value === undefined) return "none";
      if (this.#heat === "Owner") return `owner-${owners.indexOf(value) % 8}`;
      if (this.#heat === "Moves") return value === 0 ? "4" : String(3 - Math.min(3, Math.floor(value / (RECENT_MS / 3))));
      return String(value === 0 ? 0 : Math.max(1, Math.min(4, Math.ceil(value / most * 4))));
    };
    repeat(byId("heat"), parts, () => create("span"), (cell, part, at) => {
      const wanted = `heat-${level(values[at])}`;
      if (cell.className !== wanted) cell.className = wanted;
      const title = `${nameOf(part)}: ${part.executor_id ? show(values[at]) : "no owner"}`;
      if (cell.title !== title) cell.title = title;
    });
    const ownerless = parts.filter((part) => !part.executor_id).length;
    const worst = parts[values.indexOf(most)];
    const scale = {
      Lag: worst ? `Most: ${nameOf(worst)} with ${count(most)} records.` : "No partition lags.",
      Rate: worst ? `Most: ${nameOf(worst)} with ${rate(most)} events/s.` : "Nothing is read.",
      Owner: `${plural(owners.length, "owner")}, a colour each.`,
      Moves: "Strong: moving, or moved within ten minutes.",
    };
    const text = `${plural(parts.length, "partition")}, ${count(ownerless)} without an owner. ${scale[this.#heat]}`;
    say(byId("heat-scale"), text);
    byId("heat").setAttribute("aria-label", `${this.#heat} of each partition. ${text} The table has the figures.`);
  }
}

const partState = (part) => {
  const bad = part.problem ? `${part.problem.code}: ${part.problem.message}. ${part.problem.help}` : null;
  if (!part.executor_id) return { text: part.state === "running" ? "waiting" : part.state ?? "waiting", kind: "state bad" };
  const kind = bad ? "bad" : part.state === "running" ? "good" : "calm";
  return { text: part.state ?? "assigned", kind: `state ${kind}`, title: bad ?? undefined };
};

const owner = (part) => {
  if (!part.executor_id) {
    const last = part.last_host || part.last_executor_id;
    return { text: last ? `none, last ${last}` : "none", title: part.last_executor_id ?? "", kind: "bad" };
  }
  const to = part.moving_to ? ` → ${part.moving_to}` : "";
  return { text: `${part.host || part.executor_id}${to}`, title: part.executor_id };
};
