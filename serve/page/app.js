// The dashboard: whose view is open, and whether what is shown is still true.

import { hasToken, login } from "./api.js";
import { Creator } from "./creator.js";
import { byId, choose, say } from "./dom.js";
import { Poll } from "./poll.js";
import { Rankings } from "./rankings.js";
import { age, moment } from "./words.js";

const EVERY_MS = 5_000;

let platforms = [];
let platform = null; // Whose ranking is shown.
let looked = null; // The creator whose view is open: { platform, kol }.

/** What a view was answered: `at` is when Redis was written, `stale` says that it cannot be read now. */
const answered = ({ stale, updated_at: at }) => {
  byId("content").hidden = false;
  byId("login").hidden = true;
  byId("stale").hidden = !stale;
  if (stale) say(byId("stale"), `Redis cannot be read at the moment. What is shown was written at ${moment(Date.parse(at))}.`);
  say(byId("connection"), stale ? "old" : `live, written ${age(Date.now() - Date.parse(at))} ago`);
  byId("connection").className = stale ? "bad" : "good";
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
const known = new Poll(EVERY_MS, {
  answer: ({ data }) => {
    platforms = data.map((one) => one.platform);
    byId("platforms").hidden = platforms.length < 2;
    if (!platforms.includes(platform) && platforms.length > 0) rankings.open(platform = platforms[0]);
    choose(byId("platforms"), "platform", platforms, platform, (name) => rankings.open(platform = name));
    byId("content").hidden = false;
  },
  failed,
});

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
  rankings.close();
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
  if (looked !== null) creator.open(looked);
  else {
    known.open("/api/v1/trending/platforms");
    if (platform !== null) rankings.open(platform);
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
