// The view of the whole cluster.

import { Table, byId, say } from "./dom.js";
import { toJob } from "./links.js";
import { UNKNOWN, age, bytes, count, moment, plural, rate } from "./words.js";

const KIND = {
  running: "good", alive: "good", starting: "calm", stopping: "calm", draining: "calm", drained: "calm", leaving: "calm",
  degraded: "bad", failed: "bad", lost: "bad", suspect: "bad",
};

/** A cell with a state. */
export const state = (word) => ({ text: word, kind: `state ${KIND[word] ?? "quiet"}` });

export const isOver = (job) => ["stopped", "cancelled", "failed"].includes(job.state);

/** How old the newest epoch is. */
export const epochAge = (job, now) =>
  job.checkpoint?.epoch > 0 ? `${age(now - job.checkpoint.committed_ms)} ago` : "none yet";

/** What it reported last is no longer true. */
const isGone = (executor) => ["lost", "left"].includes(executor.state);

export class Overview {
  #executors;
  #jobs;
  #now = 0;
  #over;
  #all = [];

  constructor() {
    this.#jobs = new Table(byId("jobs"), "Jobs that run", [
      ["Job", (job) => ({ text: job.name, href: toJob(this.#call(job)), title: job.job_id })],
      ["State", (job) => ({ ...state(job.state), title: job.reason })],
      ["Events/s", (job) => rate(job.events_per_second)],
      ["Lag", (job) => count(job.lag_records)],
      ["Lag in time", (job) => age(job.lag_ms)],
      ["Redis behind", (job) => age(job.staleness_ms)],
      ["Last epoch", (job) => epochAge(job, this.#now)],
      ["Partitions", (job) => count(job.partitions)],
      ["Executors", (job) => count(job.executors)],
    ], "No job runs. kol-client submit FILE starts one.");
    this.#executors = new Table(byId("executors"), "Executors", [
      ["Host", (e) => ({ text: e.host, title: e.executor_id })],
      ["State", (e) => state(e.state)],
      ["Load", (e) => isGone(e) || e.cores_busy === null ? UNKNOWN
        : { text: `${e.cores_busy.toFixed(1)} of ${plural(e.cores, "core")}`, share: e.cores_busy / Math.max(1, e.cores) }],
      ["Memory", (e) => isGone(e) ? UNKNOWN : {
        text: `${bytes(e.rss_bytes)} of ${bytes(e.memory_bytes)}`,
        share: e.rss_bytes / Math.max(1, e.memory_bytes),
      }],
      ["Partitions", (e) => count(e.partitions)],
      ["Last heard", (e) => isGone(e) || e.state === "suspect"
        ? { text: `${moment(e.heard_ms)}, ${age(this.#now - e.heard_ms)} ago`, kind: e.state === "left" ? "" : "bad" }
        : `${age(e.heartbeat_age_ms)} ago`],
      ["Zone", (e) => e.zone || "–"],
      ["Version", (e) => e.version],
    ], "No executor is registered. kol-executor --master URL starts one.");
    this.#over = new Table(byId("over"), "Jobs that are over", [
      ["Job", (job) => ({ text: job.name, href: toJob(this.#call(job)), title: job.job_id })],
      ["State", (job) => state(job.state)],
      ["Why", (job) => job.reason || "–"],
      ["Submitted", (job) => moment(job.submitted_ms)],
      ["Events", (job) => count(job.events_total)],
    ], "None.");
  }

  /** Its name, if that means this job: the newest one has it. */
  #call(job) {
    return this.#all.find((other) => other.name === job.name) === job ? job.name : job.job_id;
  }

  /** `now` is the master's wall clock. */
  show(news, now) {
    this.#now = now;
    this.#all = news.jobs;
    this.#jobs.show(news.jobs.filter((job) => !isOver(job)));
    byId("executors").hidden = news.executors === null;
    byId("executors-title").hidden = news.executors === null;
    this.#executors.show(news.executors ?? []);
    const over = news.jobs.filter(isOver);
    byId("ended").hidden = over.length === 0;
    say(byId("ended").firstElementChild, `${plural(over.length, "job")} over`);
    this.#over.show(over);
  }
}
