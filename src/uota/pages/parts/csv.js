// CSV files in the dialect that Python writes.

const FORMULA = /^[=+\-@＝＋－＠\t\r]/; // a spreadsheet would run such text

function cell(value) {
  if (value == null) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csvText = (rows) => rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
const saveCsv = (name, rows) => download(name, csvText(rows), "text/csv");
