// Numbers as people read them. What is not known is "unknown", never 0.

export const UNKNOWN = "unknown";

const known = (value) => value !== null && value !== undefined;

/** 1234567 → "1,234,567". */
export const count = (value) => known(value) ? Math.round(value).toLocaleString("en-US") : UNKNOWN;

/** With so many decimals. */
export const decimal = (value, places = 2) => known(value) ? value.toFixed(places) : UNKNOWN;

/** Events a second. */
export const rate = (value) => {
  if (!known(value)) return UNKNOWN;
  return value > 0 && value < 10 ? value.toFixed(1) : count(value);
};

/** A length of time, from milliseconds. */
export const age = (ms) => {
  if (!known(ms)) return UNKNOWN;
  const s = Math.max(0, ms) / 1000;
  if (ms < 1000) return `${Math.round(Math.max(0, ms))} ms`;
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${(s / 86400).toFixed(1)} d`;
};

export const bytes = (value) => {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
};

/** A moment, in the reader's time zone. */
export const moment = (ms) => {
  if (!(ms > 0)) return UNKNOWN;
  const at = new Date(ms);
  const time = at.toLocaleTimeString("en-GB");
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? time : `${at.toLocaleDateString("en-CA")} ${time}`;
};

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
