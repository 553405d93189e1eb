// The dashboard: whose view is open, and whether what is shown is still true.

import { hasToken, login } from "./api.js";
import { Creator } from "./creator.js";
import { byId, choose, say } from "./dom.js";
import { Poll } from "./poll.js";
import { Rankings } from "./rankings.js";
import { age, moment } from "./words.js";

const EVERY_MS = 5_000;
const OLD_MS = 3_600_000; // Whose newest event is older shows what was, however newly it was written.

let platforms = [];
let platform = null; // Whose ranking is wanted.
let shown = null; // Whose ranking is looked up.
let looked = null; // The creator whose view is open: { platform, kol }.
let newest = null; // Time of the newest event, ms.

/** What a view was answered: `at` is when Redis was written, `stale` says that it cannot be read now. */
const answered = ({ stale, updated_at: at }) => {
  byId("content").hidden = false;
  byId("login").hidden = true;
  const isOld = newest !== null && Date.now() - newest > OLD_MS;
  byId("stale").hidden = !stale && !isOld;
  if (stale) say(byId("stale"), `Redis cannot be read at the moment. What is shown was written at ${moment(Date.parse(at))}.`);
  else if (isOld) say(byId("stale"), `The newest event is of ${moment(newest)}, and so is what is shown: no newer one has come, or older ones are still being read.`);
  const written = `written ${age(Date.now() - Date.parse(at))} ago`;
  say(byId("connection"), stale ? "old" : isOld ? `old events, ${written}` : `live, ${written}`);
  byId("connection").className = stale ? "bad" : isOld ? "quiet" : "good";
};

const failed = (reason, status) => {
  const isRefused = status === 401 || status === 403;
  byId("login").hidden = !isRefused;
  byId("stale").hidden = isRefused;
  if (isRefused) {
    say(byId("refused"), hasToken() ? "This token is not one of a viewer." : "");
    login(null);
    byId("content").hidden = true;
    closeAll();
    byId("token").focus();
  } else say(byId("stale"), `${reason} Trying again.`);
  say(byId("connection"), isRefused ? "not logged in" : "connection lost");
  byId("connection").className = isRefused ? "quiet" : "bad";
};

const on = { answered, failed };
const rankings = new Rankings(on);
const creator = new Creator(on);
const show = (name) => {
  if (shown !== name) rankings.open(shown = name);
};
const known = new Poll(EVERY_MS, {
  answer: ({ data }) => {
    platforms = data.map((one) => one.platform);
    byId("platforms").hidden = platforms.length < 2;
    if (!platforms.includes(platform)) platform = platforms[0] ?? null;
    if (platform !== null) show(platform);
    choose(byId("platforms"), "platform", platforms, platform, (name) => {
      // So that the address can be sent to others; nothing else changes with it.
      history.replaceState(null, "", `#/platform/${encodeURIComponent(name)}`);
      show(platform = name);
    });
    byId("content").hidden = false;
  },
  failed,
});
const overview = new Poll(EVERY_MS, {
  answer: ({ last_event_at: at }) => { newest = at === undefined ? null : Date.parse(at); },
  failed,
});

/** The platform that the URL names, if it does. */
const namedPlatform = () => {
  const of = location.hash.match(/^#\/platform\/([^/]+)$/)?.[1];
  try {
    return of === undefined ? null : decodeURIComponent(of);
  } catch {
    return null; // Not one that this page made.
  }
};

/** What the URL names: a creator, or the rankings. */
const named = () => {
  const [, ...parts] = location.hash.match(/^#\/kol\/([^/]+)\/([^/]+)$/) ?? [];
  try {
    const [of, kol] = parts.map(decodeURIComponent);
    return kol === undefined ? null : { platform: of, kol };
  } catch {
    return null; // Not one that this page made.
  }
};

const closeAll = () => {
  known.close();
  overview.close();
  rankings.close();
  shown = null;
  creator.close();
};

/** The view that the URL names. */
const route = () => {
  closeAll();
  looked = named();
  byId("rankings").hidden = looked !== null;
  byId("creator").hidden = looked === null;
  say(byId("crumb"), looked === null ? "" : ` / ${looked.kol}`);
  document.title = looked === null ? "Trending creators" : `${looked.kol} · Trending creators`;
  byId("home").toggleAttribute("aria-current", looked === null);
  overview.open("/api/v1/stats");
  platform = namedPlatform() ?? platform;
  if (looked !== null) creator.open(looked);
  else {
    known.open("/api/v1/trending/platforms");
    if (platforms.includes(platform)) show(platform);
  }
};

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  login(byId("token").value.trim());
  byId("token").value = "";
  route();
});
addEventListener("hashchange", () => {
  route();
  byId("main").focus();
});
route();
