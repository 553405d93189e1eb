// Elements from data. All data is hostile: it becomes text and attributes, never markup.

export const byId = (id) => document.getElementById(id);

/** Sets a text where it changed: what a reader has selected stays selected. */
export const say = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

const attribute = (element, name, value) => {
  if (value === undefined || value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

/** As many children as there are items, each told to be its item; the others stay the elements that they are. */
export const repeat = (parent, items, make, fill) => {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, at) => {
    if (at === parent.children.length) parent.append(make(item));
    fill(parent.children[at], item, at);
  });
};

export const create = (name, className) => {
  const element = document.createElement(name);
  if (className) element.className = className;
  return element;
};

/** Radio buttons, one for each name; `take` is called with the name that was chosen. */
export const choose = (fieldset, group, names, chosen, take) => {
  const legend = fieldset.firstElementChild;
  if (fieldset.dataset.names !== JSON.stringify(names)) {
    fieldset.dataset.names = JSON.stringify(names);
    fieldset.replaceChildren(legend, ...names.map((name) => {
      const label = create("label");
      const input = create("input");
      Object.assign(input, { type: "radio", name: group, value: name });
      input.addEventListener("change", () => take(name));
      label.append(input, name);
      return label;
    }));
  }
  for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === chosen;
};

/** Names and values, as the definition list of a view. */
export const showFacts = (list, facts) => {
  repeat(list, facts, () => {
    const fact = create("div");
    fact.append(create("dt"), create("dd"));
    return fact;
  }, (fact, [name, value]) => {
    say(fact.firstElementChild, name);
    say(fact.lastElementChild, value);
    fact.lastElementChild.classList.toggle("unknown", value === "unknown");
  });
};

const SVG = "http://www.w3.org/2000/svg";
const [WIDE, HIGH, MARGIN] = [100, 24, 2];

/** A line through points, from 0 to 1 to the right and upwards; null: a gap. */
const drawCurve = (cell, points) => {
  let drawing = cell.querySelector("svg");
  if (points === undefined) {
    drawing?.remove();
    return;
  }
  if (!drawing) {
    drawing = document.createElementNS(SVG, "svg");
    attribute(drawing, "class", "curve");
    attribute(drawing, "viewBox", `0 0 ${WIDE} ${HIGH}`);
    attribute(drawing, "aria-hidden", "true");
    drawing.append(document.createElementNS(SVG, "path"));
    cell.append(drawing);
  }
  const place = ([x, y]) => `${(MARGIN + x * (WIDE - 2 * MARGIN)).toFixed(1)} ${(HIGH - MARGIN - y * (HIGH - 2 * MARGIN)).toFixed(1)}`;
  // One without neighbours is a dot.
  const steps = points.map((point, at) => point && (points[at - 1] ? `L${place(point)}` : `M${place(point)}h0`));
  attribute(drawing.firstElementChild, "d", steps.filter(Boolean).join(""));
};

/**
 * What stands in a cell: text, or { text, spoken, kind, title, href, share, curve }. `spoken` is what is read aloud in place of the
 * text, `kind` a CSS class, `href` where it leads, `share` a bar from 0 to 1, `curve` the points of a line.
 */
const fillCell = (cell, what, label) => {
  const { text, spoken, kind, title, href, share, curve } = typeof what === "object" ? what : { text: what };
  if (cell.dataset.label !== label) cell.dataset.label = label;
  attribute(cell, "title", title);
  const className = `${kind ?? ""}${text === "unknown" ? " unknown" : ""}`.trim();
  if (cell.className !== className) cell.className = className;
  const wanted = href !== undefined ? "A" : "SPAN";
  let inner = cell.firstElementChild;
  if (inner?.tagName !== wanted) {
    inner = create(wanted);
    cell.replaceChildren(inner);
  }
  if (href !== undefined) attribute(inner, "href", href);
  say(inner, text);
  attribute(inner, "aria-hidden", spoken === undefined ? undefined : "true");
  let words = cell.querySelector(".unseen");
  if (spoken === undefined) words?.remove();
  else {
    if (!words) cell.append(words = create("span", "unseen"));
    say(words, spoken);
  }
  drawCurve(cell, curve);
  let bar = cell.querySelector("meter");
  if (share === undefined) {
    bar?.remove();
    return;
  }
  if (!bar) {
    bar = create("meter");
    Object.assign(bar, { min: 0, max: 1, low: 0.7, high: 0.9, optimum: 0 });
    cell.append(bar);
  }
  attribute(bar, "aria-label", label);
  bar.value = Math.min(1, share);
};

/**
 * A table whose rows are replaced by new figures. `columns` are [heading, cell of an item, value to sort by]; without the
 * last one a column does not sort.
 */
export class Table {
  #body = create("tbody");
  #columns;
  #empty = create("p", "quiet");
  #element = create("table");
  #heads = [];
  #items = [];
  #sort = { column: -1, falls: true };

  constructor(parent, caption, columns, empty) {
    this.#columns = columns;
    this.#empty.textContent = empty;
    const scroll = create("div", "scroll");
    scroll.tabIndex = 0; // Who has no mouse scrolls it, too.
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", caption);
    const title = create("caption", "unseen");
    title.textContent = caption;
    const row = create("tr");
    columns.forEach(([heading, , value], at) => {
      const head = create("th");
      head.scope = "col";
      if (value) {
        const button = create("button");
        button.type = "button";
        button.textContent = heading;
        button.addEventListener("click", () => this.#by(at));
        head.append(button);
      } else head.textContent = heading;
      this.#heads.push(head);
      row.append(head);
    });
    const top = create("thead");
    top.append(row);
    this.#element.append(title, top, this.#body);
    scroll.append(this.#element);
    parent.replaceChildren(scroll, this.#empty);
  }

  #by(column) {
    const falls = this.#sort.column === column ? !this.#sort.falls : true;
    this.#sort = { column, falls };
    this.#heads.forEach((head, at) => {
      attribute(head, "aria-sort", at === column ? (falls ? "descending" : "ascending") : undefined);
    });
    this.show(this.#items);
  }

  show(items) {
    this.#items = items;
    this.#element.hidden = items.length === 0;
    this.#empty.hidden = items.length > 0;
    const value = this.#columns[this.#sort.column]?.[2];
    const sorted = value ? [...items].sort((a, b) => compare(value(a), value(b))) : items;
    if (value && this.#sort.falls) sorted.reverse();
    repeat(this.#body, sorted, () => create("tr"), (row, item) => {
      repeat(row, this.#columns, (column) => {
        const cell = create(column === this.#columns[0] ? "th" : "td");
        if (column === this.#columns[0]) cell.scope = "row";
        return cell;
      }, (cell, [heading, content]) => fillCell(cell, content(item), heading));
    });
  }
}

/** What is not known is more than everything: it is what to look at. */
const compare = (a, b) => {
  const [x, y] = [a ?? Infinity, b ?? Infinity];
  return x < y ? -1 : Number(x > y);
};
