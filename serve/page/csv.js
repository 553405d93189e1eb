// A ranking as a file.

const COLUMNS = [
  "rank", "kol_id", "platform", "trending_score", "trending_label", "velocity", "momentum", "event_count", "total_engagement",
  "updated_at", "change_1h", "change_24h", "new_1h", "new_24h",
];

/** Spreadsheets take such a text for a formula. */
const FORMULA = /^[=+\-@\t\r]/;

/** A cell (RFC 4180). Numbers stay numbers, and texts become no formulas. */
const cell = (value) => {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Lines of a table, the first one with the names of its columns. */
export const csv = (rows) =>
  [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => row[column]))].map((line) => `${line.map(cell).join(",")}\r\n`).join("");

/** Saves rows under this name. */
export const save = (name, rows) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv(rows)], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
};
