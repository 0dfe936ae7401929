// Plotly's script is packed: unpacked it would be two thirds of the file.
const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const library = document.createElement("script");
library.textContent = await new Response(unpacked).text();
document.head.append(library);

const figures = JSON.parse(document.getElementById("figures").textContent);
// Chart tools only where a pointer can hover: on a touch screen they would always cover the chart. They are listed
// because some versions of Plotly add a button that would upload the data.
const config = {
  displaylogo: false, displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};
const shown = new Map(figures.map(f => [f.id, { view: 0, loglog: false }]));
const grouped = name => figures.filter(f => f.group === name); // figures that one choice switches together

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// A long legend must not squeeze the plot above it: about how many lines it takes.
function legendLines(view, state, width) {
  const named = view.data.filter(d => d.showlegend !== false && d.type !== "heatmap");
  const letters = Math.max(0, ...named.map(d => plain(d.name).length)) + (state.loglog ? 8 : 0);
  return Math.ceil(named.length / Math.max(1, Math.floor(width * 0.9 / (letters * 7 + 50))));
}

// Names below a heat map stand slanted, or upright where it is narrow, and need room for the longest.
function upright(width) { return width < 700; }
function slanted(view, width) {
  const longest = Math.max(0, ...view.data.filter(d => d.z).flatMap(d => d.x).map(name => plain(name).length));
  return longest * (upright(width) ? 6.5 : 5.5);
}

function layout(figure, state, width) {
  const { axes } = figure, view = figure.views[state.view];
  const axis = (title, extra) => ({
    title: { text: title, standoff: 8 }, gridcolor: colour("--grid"), linecolor: colour("--edge"), zerolinecolor: colour("--edge"),
    automargin: true, exponentformat: "none", separatethousands: true, ...extra,
  });
  const log = { type: "log", dtick: 1, exponentformat: "power" };
  let x = axes.logx ? { ...log, dtick: axes.logx } : {}, y = {};
  if (state.loglog) {
    const top = Math.log10(Math.max(1e-9, ...view.data.flatMap(d => d.y)));
    [x, y] = [log, { ...log, range: [top - 3, top + 0.1] }];
  } else if (axes.unit) {
    [x, y] = [{ nticks: 5 }, { range: [0, 1], tickformat: ".0%" }];
  } else if (axes.bars) {
    [x, y] = [{ range: [0, 1], tickformat: ".0%", dtick: 0.25 }, { autorange: "reversed", showgrid: false }];
  } else if (axes.heat) {
    [x, y] = [{ tickangle: upright(width) ? -90 : -45, showgrid: false }, { autorange: "reversed", showgrid: false }];
  }
  return {
    height: figure.height + 20 * Math.max(0, legendLines(view, state, width) - 2) + slanted(view, width), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: width < 500 ? 11 : 13 },
    margin: { l: 8, r: 12, t: 12, b: 8 }, hovermode: "closest", barmode: "stack", bargap: 0.3,
    legend: { orientation: "h", y: -66 / (figure.height - 100), yanchor: "top", x: 0 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--ink") },
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--edge"), font: { color: colour("--ink") } },
    xaxis: axis(axes.x, x), yaxis: axis(view.y ?? axes.y, y), ...marked(figure.marks ?? [], state.loglog),
  };
}

// What changes in the world: a line at its round, and its name along the line, whole where it is pointed at.
function marked(marks, logarithmic) {
  return {
    shapes: marks.map(m => ({
      type: "line", x0: m.x, x1: m.x, yref: "paper", y0: 0, y1: 1, layer: "above", line: { color: colour("--muted"), width: 1, dash: "dot" },
    })),
    annotations: marks.map(m => ({
      x: logarithmic ? Math.log10(m.x) : m.x, y: 1, yref: "paper", text: shortened(m.label), hovertext: m.label, textangle: -90,
      xanchor: "left", yanchor: "top", showarrow: false, font: { size: 10, color: colour("--muted") }, bgcolor: colour("--panel"), opacity: 0.85,
    })),
  };
}

function shortened(label) {
  const letters = plain(label);
  return letters.length > 30 ? `${letters.slice(0, 29).replaceAll("&", "&amp;").replaceAll("<", "&lt;")}…` : label;
}

// A line with lo and hi gets a band behind it, switched together from the legend; on logarithmic axes its name tells
// how it grows.
function dressed(data, state, width) {
  const opacity = data.length > 10 ? 0.07 : 0.2; // many bands would hide the lines
  return data.flatMap(d => {
    if (d.type === "heatmap") {
      const text = width > 700 ? { texttemplate: "%{z:.0%}" } : {};
      return [{ ...d, ...text, zmin: 0, zmax: 1, xgap: 1, ygap: 1, showscale: false,
        colorscale: [[0, colour("--panel")], [1, colour("--accent")]] }];
    }
    const grown = state.loglog && d.growth != null ? { name: `${d.name}, rounds<sup>${d.growth}</sup>` } : {};
    if (!d.lo) return [{ ...d, ...grown }];
    const band = { x: [...d.x, ...[...d.x].reverse()], y: [...d.hi, ...[...d.lo].reverse()], legendgroup: d.legendgroup,
      mode: "lines", fill: "toself", fillcolor: d.line.color, opacity, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    return [band, { ...d, ...grown }];
  });
}

// Put each label on a side of its point where it covers no point or other label, and no line if that can be; where no
// side is free, the hover text alone names the point.
function placeLabels(data, logx, width, height) {
  if (!data.some(d => d.labels)) return data;
  const all = data.filter(d => d.mode && d.mode.includes("markers")).flatMap(d => d.x.map((x, i) => [logx ? Math.log(x) : x, d.y[i]]));
  const low = [0, 1].map(k => Math.min(...all.map(p => p[k]))), high = [0, 1].map(k => Math.max(...all.map(p => p[k])));
  const pixel = (x, y) => [
    (x - low[0]) / (high[0] - low[0] || 1) * width * 0.84, (high[1] - y) / (high[1] - low[1] || 1) * height * 0.6,
  ];
  const taken = all.map(([x, y]) => { const [px, py] = pixel(x, y); return [px - 7, py - 7, px + 7, py + 7]; });
  const lines = [];
  for (const d of data.filter(d => d.mode === "lines")) {
    d.x.slice(1).forEach((x, i) => {
      const [x0, y0] = pixel(logx ? Math.log(d.x[i]) : d.x[i], d.y[i]), [x1, y1] = pixel(logx ? Math.log(x) : x, d.y[i + 1]);
      lines.push([x0, y0 - 1, x1, y0 + 1], [x1 - 1, y1, x1 + 1, y0]);
    });
  }
  const size = width < 500 ? 10 : 12;
  const sides = { "top center": [0, -1], "bottom center": [0, 1], "middle right": [1, 0], "middle left": [-1, 0],
    "top right": [1, -1], "top left": [-1, -1], "bottom right": [1, 1], "bottom left": [-1, 1] };
  return data.map(d => {
    if (!d.labels) return d;
    const position = [], text = [];
    d.x.forEach((x, i) => {
      const [px, py] = pixel(logx ? Math.log(x) : x, d.y[i]), w = d.text[i].length * size * 0.58, h = size * 1.25;
      const free = Object.entries(sides).map(([side, [sx, sy]]) => {
        const cx = px + sx * (w / 2 + 8), cy = py + sy * (sx && sy ? h * 0.7 : h * 0.5 + 8);
        const box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
        const over = b => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1];
        const hits = taken.filter(over).length + lines.filter(over).length * 0.1;
        const off = box[0] < -width * 0.04 || box[2] > width * 0.84 + 20 ? 2 : 0;
        return { side, box, cost: hits + off };
      }).reduce((a, b) => (b.cost < a.cost ? b : a));
      position.push(free.side);
      text.push(free.cost < 1 ? d.text[i] : "");
      if (free.cost < 1) taken.push(free.box);
    });
    const told = d.text.map((name, i) => [name, d.customdata?.[i] ?? ""]);
    const hover = d.hovertemplate.replace("%{customdata}", "%{customdata[1]}").replace("%{text}", "%{customdata[0]}");
    return { ...d, customdata: told, hovertemplate: hover, text, textposition: position, textfont: { size } };
  });
}

function draw(figure) {
  const node = document.getElementById(figure.id), state = shown.get(figure.id), width = node.clientWidth;
  const data = dressed(placeLabels(figure.views[state.view].data, figure.axes.logx, width, figure.height), state, width);
  return Plotly.react(node, data, layout(figure, state, width), config);
}

function buttons(figure, labels, pressed, press) {
  const group = document.createElement("div");
  group.setAttribute("role", "group");
  labels.forEach((label, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-pressed", String(i === pressed));
    button.addEventListener("click", () => {
      press(i);
      for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
      draw(figure);
    });
    group.append(button);
  });
  document.getElementById(figure.id + "-controls").append(group);
}

// Names are escaped for Plotly, which reads some HTML in them; a text area reads them back without running anything.
function plain(text) {
  const area = document.createElement("textarea");
  area.innerHTML = text;
  return area.value;
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
  button.textContent = "Download CSV";
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

for (const figure of figures) {
  const state = shown.get(figure.id);
  if (figure.views.length > 1 && !figure.group) buttons(figure, figure.views.map(v => plain(v.label)), 0, i => { state.view = i; });
  if (figure.loglog) buttons(figure, ["linear axes", "log axes"], 0, i => { state.loglog = i === 1; });
  draw(figure);
  saver(document.getElementById(figure.id).parentElement, figure.id, () => rowsOf(figure));
}
for (const table of document.querySelectorAll("section table")) {
  saver(table.closest("section"), table.id, () => [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.replace(/\s+/g, " ").trim())));
}

document.getElementById("shares-of")?.addEventListener("change", event => {
  for (const figure of grouped("shares")) {
    const label = event.target.selectedOptions[0].textContent;
    shown.get(figure.id).view = Math.max(0, figure.views.findIndex(view => plain(view.label) === label));
    draw(figure);
  }
});

const difference = JSON.parse(document.getElementById("differences").textContent);
const baseline = document.getElementById("baseline"), measure = document.getElementById("measure");
const short = value => (Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(3)).replace("-", "−");
function compare() {
  const [gap, low, high, p, under, over] = difference.values[measure.value]?.[baseline.value] ?? [];
  for (const cell of document.querySelectorAll("td[data-row]")) {
    const i = Number(cell.dataset.row), sure = p && p[i] !== null && p[i] < difference.alpha;
    cell.className = sure ? "sure" : "";
    cell.replaceChildren(!gap || gap[i] === null ? "–" : (gap[i] > 0 ? "+" : "") + short(gap[i]) + (sure ? " *" : ""));
    if (gap && gap[i] !== null && (low[i] !== null || under[i] !== null)) {
      const span = document.createElement("small"), ends = (a, b) => a === null ? "none" : `${short(a)} to ${short(b)}`;
      const test = p[i] === null ? "" : `, p ${p[i] < 0.001 ? "< 0.001" : "= " + p[i].toFixed(3)}`;
      span.textContent = `seeds ${ends(low[i], high[i])}, queries ${ends(under[i], over[i])}${test}`;
      cell.append(span);
    }
  }
}
for (const choice of [baseline, measure]) choice.addEventListener("change", compare);
compare();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach(draw));
let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => figures.forEach(draw), 150); });
