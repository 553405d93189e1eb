// The page: where it is, what is wrong, and whether it is still connected.

import { Creator } from "./creator.js";
import { byId, create, repeat, say } from "./dom.js";
import { Feed } from "./feed.js";
import { Job } from "./job.js";
import { toJob } from "./links.js";
import { Overview } from "./overview.js";
import { age, count, moment, plural } from "./words.js";

const STALE_MS = 3_000;

const overview = new Overview();
const job = new Job();
const creator = new Creator();
const firstSeen = new Map();
let news = null;
let shown = null; // The job whose view is open, as the URL calls it.
let looked = null; // The creator whose view is open: { job, platform, kol }.
let received = 0;
let trouble = "";

const feed = new Feed({
  overview: (latest) => {
    news = latest;
    received = performance.now();
    trouble = "";
    show();
  },
  job: (latest) => {
    if (shown !== null && news) job.show(latest, news.wall_ms);
  },
  login: (reason) => {
    byId("content").hidden = true;
    byId("login").hidden = false;
    say(byId("refused"), reason);
    byId("token").focus();
    watch();
  },
  lost: (reason) => {
    trouble = reason;
    watch();
  },
});

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  feed.login(byId("token").value.trim());
  byId("token").value = "";
  byId("login").hidden = true;
  feed.open(shown);
});

/** What the URL names: a job, or a creator of one; what this page did not make names nothing. */
const named = () => {
  const [, ...parts] = location.hash.match(/^#\/job\/([^/]+)(?:\/creator\/([^/]+)\/([^/]+))?$/) ?? [];
  try {
    return parts.map((part) => part === undefined ? undefined : decodeURIComponent(part));
  } catch {
    return [];
  }
};

/** The view that the URL names. */
const route = () => {
  const [name, platform, kol] = named();
  looked = kol === undefined ? null : { job: name, platform, kol };
  shown = name !== undefined && looked === null ? name : null;
  job.open(shown);
  creator.open(looked);
  byId("overview").hidden = name !== undefined;
  byId("job").hidden = shown === null;
  byId("creator").hidden = looked === null;
  say(byId("crumb"), [name, kol].filter((part) => part !== undefined).map((part) => ` / ${part}`).join(""));
  say(byId("job-name"), shown ?? "");
  say(byId("job-state"), "");
  byId("home").toggleAttribute("aria-current", name === undefined);
  if (news) show();
  feed.open(shown);
};

const show = () => {
  byId("content").hidden = false;
  byId("login").hidden = true;
  const term = news.term === null ? "" : `, term ${count(news.term)}`;
  say(byId("role"), `This master ${news.leads ? "leads" : "follows"}${term} · KOL ${news.version}`);
  byId("follows").hidden = news.leads;
  const leader = news.leader === null ? "No master leads at the moment." : `The leader is at ${news.leader}: look at its page.`;
  say(byId("follows"), `This master follows, and shows what was committed. ${leader}`);
  problems();
  if (!byId("overview").hidden) overview.show(news, news.wall_ms);
  watch();
};

const problems = () => {
  const all = news.problems;
  say(byId("wrong"), all.length === 0 ? "Nothing is wrong" : plural(all.length, "problem"));
  byId("wrong").className = all.length === 0 ? "good" : "bad";
  const view = looked?.kol ?? shown;
  document.title = `${all.length > 0 ? `(${all.length}) ` : ""}${view === null ? "KOL" : `${view} · KOL`}`;
  const keys = all.map((p) => JSON.stringify([p.code, p.message, p.job]));
  for (const key of firstSeen.keys()) if (!keys.includes(key)) firstSeen.delete(key);
  for (const key of keys) if (!firstSeen.has(key)) firstSeen.set(key, news.wall_ms);
  repeat(byId("problems"), all, problemCard, (card, problem, at) => {
    const part = (name, text) => say(card.querySelector(`.${name}`), text);
    const link = card.querySelector(".job");
    link.hidden = problem.job === null;
    if (problem.job !== null) link.href = toJob(problem.job);
    const began = problem.since_ms ?? firstSeen.get(keys[at]);
    part("code", problem.code);
    part("job", problem.job ?? "");
    part("where", place(problem));
    part("message", problem.message);
    part("help", problem.help);
    part("since", `${problem.since_ms === null ? "seen since" : "since"} ${moment(began)}`);
  });
  const warnings = news.warnings;
  byId("warned").hidden = warnings.length === 0;
  say(byId("warned").firstElementChild, plural(warnings.length, "warning"));
  repeat(byId("warnings"), warnings, () => create("li"), (line, warning) => {
    say(line, warning.jobs.length > 0 ? `${warning.jobs.join(", ")}: ${warning.message}` : warning.message);
  });
};

const place = (problem) => {
  if (problem.topic === null) return "";
  const at = problem.offset === null ? "" : ` at offset ${count(problem.offset)}`;
  return `${problem.topic}/${problem.partition}${at}`;
};

const problemCard = () => {
  const card = create("li");
  const head = create("p", "head");
  card.append(head);
  for (const [parent, name, part] of [
    [head, "strong", "code"], [head, "a", "job"], [head, "span", "where"],
    [card, "p", "message"], [card, "p", "help"], [card, "small", "since"],
  ]) parent.append(create(name, part));
  return card;
};

/** Whether what is shown is still true. */
const watch = () => {
  const hasLogin = !byId("login").hidden;
  const old = performance.now() - received;
  const isStale = !hasLogin && (news === null ? trouble !== "" : old > STALE_MS);
  const why = trouble ? ` (${trouble})` : "";
  byId("stale").hidden = !isStale;
  byId("content").classList.toggle("old", isStale);
  if (isStale) {
    say(byId("lost"), `Connection lost${why}. Trying again.`);
    say(byId("age"), news === null ? "" : `What is shown is ${age(Math.floor(old / 1000) * 1000)} old.`);
  }
  const word = hasLogin ? "not logged in" : isStale ? "connection lost" : news === null ? "connecting" : "live";
  say(byId("connection"), word);
  byId("connection").className = word === "live" ? "good" : isStale ? "bad" : "quiet";
};

addEventListener("hashchange", () => {
  route();
  byId("main").focus();
});
setInterval(watch, 1_000);
route();
