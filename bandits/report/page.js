// The report: switches of its charts, the shaded table of calls, sorting and picking, and differences by data set.
const heat = figures.find(f => f.id === "heat"), charts = figures.filter(f => f !== heat);

function press(figure, labels, pressed, pick) {
  const group = document.createElement("div");
  group.setAttribute("role", "group");
  labels.forEach((label, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-pressed", String(i === pressed));
    button.addEventListener("click", () => {
      pick(i);
      for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
      draw(figure);
    });
    group.append(button);
  });
  document.getElementById(figure.id + "-controls").append(group);
}

function chosen(name, label, options, pick) {
  const select = document.createElement("select"), around = document.createElement("label");
  select.append(...options.map(text => new Option(text)));
  select.setAttribute("aria-label", label);
  select.addEventListener("change", () => pick(select.selectedIndex));
  around.append(label + " ", select);
  document.getElementById(name).append(around);
}

function rowsOf(figure) {
  const rows = [["view", "series", plain(figure.axes.x) || "x", plain(figure.axes.y) || "y", "low", "high"]];
  for (const view of figure.views) {
    for (const d of view.data) {
      const name = [plain(view.label), plain(d.name)];
      if (d.z) d.z.forEach((line, j) => line.forEach((z, i) => rows.push([...name, plain(d.x[i]), plain(d.y[j]), z])));
      else d.x.forEach((x, i) => rows.push([name[0], d.text ? plain(d.text[i]) : name[1], x, d.y[i], d.lo?.[i], d.hi?.[i]]));
    }
  }
  if (figure.axes.heat) rows[0].splice(2, 4, "model", "dataset", "share of calls");
  return rows;
}

function saver(place, name, rows) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "save";
  button.textContent = "CSV";
  button.setAttribute("aria-label", `Download the data of ${name} as CSV`);
  button.addEventListener("click", () => {
    const cell = value => { const text = String(value ?? ""); return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([rows().map(row => row.map(cell).join(",") + "\n").join("")], { type: "text/csv" }));
    link.download = `${name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  place.append(button);
}

for (const figure of charts) {
  const state = shown.get(figure.id);
  if (figure.views.length > 1 && !figure.group) press(figure, figure.views.map(v => plain(v.label)), 0, i => { state.view = i; });
  if (figure.loglog) press(figure, ["linear axes", "log axes"], 0, i => { state.loglog = i === 1; });
  if (figure.asked && figure.views.some(v => v.data.some(d => d.asked)))
    press(figure, [`without ${figure.asked}`, `with ${figure.asked}`], 0, i => { state.asked = i === 1; });
  draw(figure);
  saver(document.getElementById(`${figure.id}-controls`), figure.id, () => rowsOf(figure));
}

// The calls by data set and model: a table whose cells are shaded in eleven steps, so that its numbers stay at any width.
function shaded(view) {
  const { x, y, z } = view.data[0], table = document.getElementById("heat"), cell = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
  const head = document.createElement("tr");
  head.append(cell("th", "share of calls"), ...x.map(name => cell("th", plain(name))));
  const body = y.map((name, j) => {
    const row = document.createElement("tr");
    row.append(cell("th", plain(name)), ...z[j].map(share => Object.assign(cell("td", share === null ? "n/a" : `${(100 * share).toFixed(0)} %`), { className: `h${Math.round(10 * (share ?? 0))}` })));
    return row;
  });
  for (const one of [head, ...body]) one.firstChild.scope = one === head ? "col" : "row";
  table.replaceChildren(document.createElement("thead"), document.createElement("tbody"));
  table.tHead.append(head);
  table.tBodies[0].append(...body);
}
if (heat) {
  shaded(heat.views[0]);
  if (heat.views.length > 1) chosen("heat-controls", "Calls of", heat.views.map(v => plain(v.label)), i => shaded(heat.views[i]));
  saver(document.getElementById("heat-controls"), "heat", () => rowsOf(heat));
}

// A table is sorted by the column whose heading is pressed, the largest first, then the smallest; n/a comes last.
const value = row => i => { const text = row.cells[i].firstChild?.textContent.trim() ?? ""; const n = parseFloat(text.replaceAll(",", "").replace("−", "-")); return Number.isNaN(n) ? null : n; };
function sortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "sort", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const name = row => row.cells[0].innerText || row.cells[0].textContent;
      const order = (a, b) => {
        if (i === 0) return name(a).localeCompare(name(b)) * (down ? 1 : -1);
        const [u, v] = [value(a)(i), value(b)(i)];
        return u === null || v === null ? (u === null) - (v === null) : (down ? v - u : u - v);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}
const numbers = document.getElementById("summary-table");
sortable(numbers);
{
  const bar = Object.assign(document.createElement("div"), { className: "choices" }), rows = [...numbers.tBodies[0].rows];
  const hidden = rows.filter(row => row.classList.contains("more"));
  if (hidden.length) {
    const search = Object.assign(document.createElement("input"), { type: "search", placeholder: "search players" });
    search.setAttribute("aria-label", "Search players");
    const all = Object.assign(document.createElement("button"), { type: "button", textContent: `show all ${rows.length}` });
    all.setAttribute("aria-pressed", "false");
    const filter = () => {
      const open = all.getAttribute("aria-pressed") === "true", text = search.value.trim().toLowerCase();
      for (const row of rows) row.hidden = text ? !row.cells[0].textContent.toLowerCase().includes(text) : !open && row.classList.contains("more");
    };
    all.addEventListener("click", () => { all.setAttribute("aria-pressed", String(all.getAttribute("aria-pressed") !== "true")); filter(); });
    search.addEventListener("input", filter);
    bar.append(search, all);
  }
  saver(bar, "summary-table", () => told(numbers));
  numbers.closest("section").prepend(bar);
}
numbers.addEventListener("change", event => {
  const { of } = event.target.dataset;
  if (event.target.checked) picked.add(of); else picked.delete(of);
  charts.forEach(draw);
});
function told(table) { return [...table.rows].map(row => [...row.cells].map(cell => cell.textContent.replace(/\s+/g, " ").trim())); }
for (const id of ["datasets-table", "changes-table"]) {
  const table = document.getElementById(id);
  if (table) saver(table.closest("section"), id, () => told(table));
}

const grouped = charts.filter(f => f.group === "shares");
document.getElementById("shares-of")?.addEventListener("change", event => {
  for (const figure of grouped) {
    const label = event.target.selectedOptions[0].textContent;
    shown.get(figure.id).view = Math.max(0, figure.views.findIndex(view => plain(view.label) === label));
    draw(figure);
  }
});
document.getElementById("shares-policy")?.addEventListener("change", event => {
  const name = event.target.selectedOptions[0].textContent;
  for (const place of document.querySelectorAll(".one > div")) place.hidden = place.dataset.of !== name;
  grouped.forEach(draw);
});

const difference = block("differences");
const baseline = document.getElementById("baseline"), measure = document.getElementById("measure");
const short = number => (Math.abs(number) >= 1000 ? number.toFixed(0) : number.toPrecision(3)).replace("-", "−");
function compare() {
  const [gap, low, high, p, under, over] = difference.values[measure.value]?.[baseline.value] ?? [];
  for (const cell of document.querySelectorAll("td[data-row]")) {
    const i = Number(cell.dataset.row), sure = p && p[i] !== null && p[i] < difference.alpha;
    cell.className = sure ? "sure" : "";
    cell.replaceChildren(!gap || gap[i] === null ? "–" : (gap[i] > 0 ? "+" : "") + short(gap[i]) + (sure ? " *" : ""));
    if (gap && gap[i] !== null && (low[i] !== null || under[i] !== null)) {
      const span = document.createElement("small"), both = (a, b) => a === null ? "none" : `${short(a)} to ${short(b)}`;
      const test = p[i] === null ? "" : `, p ${p[i] < 0.001 ? "< 0.001" : "= " + p[i].toFixed(3)}`;
      span.textContent = `seeds ${both(low[i], high[i])}, queries ${both(under[i], over[i])}${test}`;
      cell.append(span);
    }
  }
}
for (const choice of [baseline, measure]) choice.addEventListener("change", compare);
compare();
document.getElementById("dataset")?.addEventListener("change", event => {
  const name = event.target.selectedOptions[0].textContent, every = event.target.selectedIndex === event.target.options.length - 1;
  for (const body of document.querySelectorAll("#datasets-table tbody")) body.hidden = !every && body.dataset.dataset !== name;
});
