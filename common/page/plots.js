// Curves over time, drawn by uPlot.

import { byId } from "./dom.js";
import { count, moment } from "./words.js";

const HEIGHT = 180;
const LEAST_S = 60; // Of time on an axis: a curve of one point has a place, too.
const COLOURS = ["--blue", "--orange", "--green", "--violet"];
const plots = new Set();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Steps of an axis, by the unit of its values. */
const INCREMENTS = {
  bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
  number: Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat(),
};
INCREMENTS.place = INCREMENTS.number;

/** Values on an axis: from 0 on; of places the first is the highest. */
const scaleOf = (unit) => unit === "place"
  ? { dir: -1, range: (_, __, last) => [0.5, Math.max(2, last) + 0.5] }
  : { range: (_, __, max) => [0, Math.max(1, max * 1.1)] };

/** What curves are over: seconds of the clock, or numbers of epochs. */
export const TIME = { label: "at", isTime: true, show: (s) => moment(s * 1000) };
export const EPOCH = { label: "epoch", isTime: false, show: (epoch) => Number.isInteger(epoch) ? count(epoch) : "" };

/**
 * Curves with a common axis. `series` are their names, `show` makes text of a value in this unit. Where they are parts of
 * a whole they stand on each other, the first one lowest.
 */
export class Plot {
  #data;
  #element;
  #options;
  #parts;
  #plot = null;
  #width = 0;

  constructor(id, title, series, show, x, unit = "number", areParts = false) {
    this.#element = byId(id);
    this.#element.setAttribute("role", "img");
    this.#options = { title, series, show, unit, x, areParts };
    this.#data = [[], ...series.map(() => [])];
    this.#parts = this.#data;
    new ResizeObserver(() => this.draw()).observe(this.#element);
    plots.add(this);
  }

  /** Columns: x values, then those of each curve. */
  show(data) {
    const { title, series, show, areParts } = this.#options;
    this.#parts = data;
    this.#data = areParts ? stacked(data) : data;
    const newest = series.map((name, at) => `${name} ${show(data[at + 1].at(-1))}`);
    this.#element.setAttribute("aria-label", `${title}: ${newest.join(", ")}`);
    if (this.#plot) this.#plot.setData(this.#data);
    else this.draw();
  }

  /** In the size and the colours of now. */
  draw(isRecoloured = false) {
    const width = this.#element.clientWidth;
    if (width === 0 || (width === this.#width && this.#plot && !isRecoloured)) return;
    this.#width = width;
    if (this.#plot && !isRecoloured) {
      this.#plot.setSize({ width, height: HEIGHT });
      return;
    }
    this.#plot?.destroy();
    const { title, series, show, unit, x, areParts } = this.#options;
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const curves = series.map((label, at) => ({
      label,
      stroke: colour(COLOURS[at]),
      width: 2,
      points: { show: !x.isTime || unit === "place", size: 5, fill: colour(COLOURS[at]) },
      fill: areParts ? colour(COLOURS[at]) : undefined,
      value: (_, __, of, place) => show(this.#parts[of].at(place ?? -1)),
    }));
    // A part is filled down to the one below it.
    const bands = areParts ? series.slice(1).map((_, at) => ({ series: [at + 2, at + 1] })) : [];
    this.#plot = new uPlot({
      title,
      width,
      height: HEIGHT,
      bands,
      cursor: { drag: { setScale: false } },
      scales: { x: x.isTime ? { time: true, range: spanned } : { time: false }, y: scaleOf(unit) },
      axes: [
        { ...axis, size: 34, space: x.isTime ? 150 : 90, values: (_, values) => values.map(x.show) },
        { ...axis, size: 74, incrs: INCREMENTS[unit], values: (_, values) => values.map((value) => show(value)) },
      ],
      series: [{ label: x.label, value: (plot, value) => x.show(value ?? plot.data[0].at(-1)) }, ...curves],
    }, this.#data, this.#element);
  }
}

/** From when to when an axis of time goes. */
const spanned = (_, first, last) => first === null ? [null, null] : [Math.min(first, last - LEAST_S), last];

/** Each curve on top of those before it. */
const stacked = ([x, ...parts]) => {
  const sums = x.map(() => 0);
  return [x, ...parts.map((part) => part.map((value, at) => (sums[at] += value ?? 0)))];
};

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const plot of plots) plot.draw(true);
});
