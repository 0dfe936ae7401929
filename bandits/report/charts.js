// What every page with charts shares: Plotly unpacked, colours of a light and a dark page, axes, and names beside
// lines and points. A chart is drawn from its entry in the block `figures` when its place has a width.
const block = id => JSON.parse(document.getElementById(id).textContent);
const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const library = document.createElement("script");
library.textContent = await new Response(unpacked).text();
// Plotly would add a style sheet for maps, which the page's policy forbids, unless an element has its name.
const maps = library.textContent.match(/getElementById\("([0-9a-f]{64})"\)/)?.[1];
if (maps) document.head.append(Object.assign(document.createElement("meta"), { id: maps }));
document.head.append(library);

const figures = block("figures"), palette = block("palette");
// Chart tools only where a pointer can hover: on a touch screen they would always cover the chart. They are listed
// because some versions of Plotly add a button that would upload the data.
const config = {
  displaylogo: false, displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};
const darkness = matchMedia("(prefers-color-scheme: dark)");
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const shade = hex => darkness.matches ? palette[hex] ?? hex : hex;
const shown = new Map(figures.map(f => [f.id, { view: 0, loglog: false, asked: false }]));
const picked = new Set(figures.flatMap(f => f.picked ?? []));
const wanted = (d, state) => (!d.of || picked.has(d.of)) && (!d.asked || state.asked);

// Names are escaped for Plotly, which reads some HTML in them; a text area reads them back without running anything.
function plain(text) {
  const area = document.createElement("textarea");
  area.innerHTML = text ?? "";
  return area.value;
}
const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const shortened = (text, most) => { const t = plain(text); return t.length > most ? escaped(t.slice(0, most - 1)) + "…" : text; };

const pen = document.createElement("canvas").getContext("2d");
function wide(text, size) { pen.font = `${size}px system-ui, sans-serif`; return pen.measureText(plain(text)).width; }

// A long name on two or three lines, broken at commas, brackets and dashes only.
function broken(name, most) {
  const lines = [""];
  for (const piece of plain(name).split(/(?<=[,\-\[(])/)) {
    if (lines.at(-1) && (lines.at(-1) + piece).length > most) lines.push("");
    lines[lines.length - 1] += piece;
  }
  return lines.map(line => line.trim()).map(line => shortened(escaped(line), most + 4));
}

function axisOf(title, side, extra) {
  return {
    title: { text: title, standoff: 8 }, gridcolor: colour("--grid"), linecolor: colour("--edge"), zerolinecolor: colour("--edge"),
    automargin: true, exponentformat: "none", separatethousands: true, ticksuffix: side.suffix ?? "", tickprefix: side.prefix ?? "", ...extra,
  };
}

function layout(figure, view, state, width, right) {
  const { axes } = figure, small = width < 500, side = { suffix: view.suffix ?? axes.suffix, prefix: view.prefix };
  const log = { type: "log", dtick: 1, exponentformat: "none" };
  let x = {}, y = view.nonnegative ? { rangemode: "tozero" } : {};
  if (axes.ticks) {
    const main = axes.ticks.filter(t => t[2]), kept = small && main.length > 2 ? main : axes.ticks;
    x = { type: "log", tickvals: kept.map(t => t[0]), ticktext: kept.map(t => t[1]), tickprefix: "" };
  }
  if (state.loglog) {
    const top = Math.log10(Math.max(1e-9, ...view.data.filter(d => wanted(d, state)).flatMap(d => d.y)));
    [x, y] = [log, { ...log, range: [top - 3, top + 0.1] }];
  } else if (axes.whole) {
    [x, y] = [{ nticks: 5 }, { range: [0, 100] }];
  }
  return {
    height: figure.height, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: small ? 11 : 13 },
    margin: { l: 8, r: right, t: 12, b: 8 }, hovermode: "closest", uirevision: String(state.view) + state.loglog,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--ink") },
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--edge"), font: { color: colour("--ink") } },
    xaxis: axisOf(axes.x, { suffix: axes.xsuffix, prefix: axes.prefix }, x), yaxis: axisOf(view.y ?? axes.y, side, y),
    shapes: (figure.marks ?? []).map(m => ({
      type: "line", x0: m.x, x1: m.x, yref: "paper", y0: 0, y1: 1, layer: "above", line: { color: colour("--muted"), width: 1, dash: "dot" },
    })),
  };
}

// What changes in the world: its name along the line of its round, whole where it is pointed at.
function marks(figure, state) {
  return (figure.marks ?? []).map(m => ({
    x: state.loglog ? Math.log10(m.x) : m.x, y: 1, yref: "paper", text: shortened(m.label, 30), hovertext: m.label, textangle: -90,
    xanchor: "left", yanchor: "top", showarrow: false, font: { size: 11, color: colour("--muted") }, bgcolor: colour("--panel"), opacity: 0.85,
  }));
}

// A line with lo and hi gets a band behind it.
function dressed(data) {
  const opacity = data.filter(d => d.lo).length > 6 ? 0.08 : 0.2; // many bands would hide the lines
  return data.flatMap(d => {
    const own = { ...d };
    if (d.line?.color) own.line = { ...d.line, color: shade(d.line.color) };
    if (d.marker?.color) own.marker = { ...d.marker, color: shade(d.marker.color) };
    if (d.stackgroup) [own.fillcolor, own.line] = [shade(d.fillcolor), { width: 1, color: colour("--paper") }];
    if (!d.lo) return [own];
    return [{ x: [...d.x, ...[...d.x].reverse()], y: [...d.hi, ...[...d.lo].reverse()], mode: "lines", fill: "toself",
      fillcolor: own.line.color, opacity, line: { width: 0 }, hoverinfo: "skip", showlegend: false }, own];
  });
}

// The names at the right ends of lines, or of the areas of a stack: below each other where their ends are close.
function ends(figure, data, state, width) {
  const size = width < 500 ? 11 : 12, most = width < 500 ? 13 : 26;
  return data.filter(d => figure.ends && d.mode === "lines" && d.y.length && !d.unnamed).map(d => {
    const grown = state.loglog && d.growth != null ? ` ~ rounds<sup>${d.growth}</sup>` : "";
    const lines = broken(d.name, most);
    return { d, size, text: lines.join("<br>") + grown, tall: lines.length * size * 1.2 + 2,
      wide: Math.max(...lines.map(line => wide(line, size))) + (grown ? size * 6 : 0) };
  });
}
function endLabels(node, figure, names) {
  const { yaxis, _size: box } = node._fullLayout;
  let below = 0;
  for (const name of names) {
    const values = figure.axes.whole ? name.d.y.at(-1) : name.d.y.findLast(v => v !== null);
    name.at = yaxis.d2p(figure.axes.whole ? below + values / 2 : values);
    below += values;
  }
  if (figure.axes.whole) names = names.filter(name => yaxis.d2p(0) - yaxis.d2p(name.d.y.at(-1)) > name.tall * 0.6);
  names = names.filter(name => Number.isFinite(name.at)).sort((a, b) => a.at - b.at);
  names.forEach((name, i) => { name.top = Math.max(name.at - name.tall / 2, i ? names[i - 1].top + names[i - 1].tall : -8); });
  for (let i = names.length - 1, least = box.h + 24; i >= 0; i--) {
    names[i].top = Math.min(names[i].top, least - names[i].tall);
    least = names[i].top;
  }
  return names.map(name => ({
    xref: "paper", yref: "paper", x: 1, y: 1 - (name.top + name.tall / 2) / box.h, xanchor: "left", yanchor: "middle", align: "left", showarrow: false,
    xshift: 6, text: name.text, font: { size: name.size, color: name.d.stackgroup ? colour("--ink") : shade(name.d.line.color) },
  }));
}

// The names of points and of curves, each on a side of its point where it covers no other name, point or line, further
// away with a leader where none is free close by; where there is no room at all, the hover text and the table name it.
const SIDES = [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [-1, -1], [1, 1], [-1, 1]];
function pointLabels(node, data, width) {
  const { xaxis, yaxis, _size: box } = node._fullLayout, size = width < 500 ? 11 : 12;
  const at = (d, i) => [xaxis.d2p(d.x[i]), yaxis.d2p(d.y[i])];
  const taken = [], lines = [], placed = [];
  for (const d of data) {
    const round = i => { const m = d.marker?.size ?? 8; return (Array.isArray(m) ? m[i] : m) / 2 + 1; };
    const spots = d.x.map((_, i) => at(d, i));
    if (d.mode?.includes("markers")) spots.forEach(([x, y], i) => taken.push([x - round(i), y - round(i), x + round(i), y + round(i)]));
    if (d.error_y) spots.forEach(([x], i) => lines.push([x, yaxis.d2p(d.y[i] + d.error_y.array[i]), x, yaxis.d2p(d.y[i] - d.error_y.arrayminus[i])]));
    if (d.mode?.includes("lines")) spots.slice(1).forEach(([x, y], i) => {
      const [u, v] = spots[i];
      if (d.line?.shape === "hv") lines.push([u, v, x, v], [x, v, x, y]); else lines.push([u, v, x, y]);
    });
  }
  const clear = b => !taken.some(t => t[0] < b[2] && t[2] > b[0] && t[1] < b[3] && t[3] > b[1]) && !lines.some(l => meets(l, b));
  for (const d of data.filter(d => d.labels || d.tag)) {
    const last = d.x.length - 1, places = d.tag ? [...new Set([1, 0, 1 / 2, 3 / 4, 1 / 4, 7 / 8, 5 / 8, 3 / 8, 1 / 8].map(part => Math.round(last * part)))] : null;
    const round = i => { const m = d.marker?.size ?? 6; return Math.max(0, (Array.isArray(m) ? m[i] : m) / 2 - 6); };
    const jobs = d.tag ? [[d.tag, places]] : d.text.map((text, i) => [text, [i]]);
    for (const [text, choices] of jobs) {
      const label = shortened(text, width < 500 ? 22 : 34), w = wide(label, size) + 4, h = size * 1.3;
      const spot = choices.flatMap(i => [11, 22, 36, 52, 72].map(far => far + round(i)).flatMap(far => SIDES.map(([sx, sy]) => {
        const [px, py] = at(d, i), slant = sx && sy ? 0.75 : 1;
        const cx = px + sx * (w / 2 + far * slant), cy = py + sy * (h / 2 + far * slant * 0.8 - 2);
        const from = [px + sx * 7 * slant, py + sy * 7 * slant], to = [cx - sx * w / 2, cy - (sx ? 0 : sy * h / 2)];
        return { box: [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], lead: far > 11 + round(i) ? [...from, ...to] : null, cx, cy };
      }))).find(({ box: b, lead }) => b[0] > 0 && b[2] < box.w + node._fullLayout.margin.r - 4 && b[1] > 0 && b[3] < box.h && clear(b)
        && (!lead || (!lines.some(l => crosses(lead, l)) && !taken.some(t => meets(lead, shrunk(t))) && !placed.some(p => meets(lead, p)))));
      if (!spot) continue;
      taken.push(spot.box); placed.push(spot.box);
      if (spot.lead) lines.push(spot.lead);
      const tint = d.tag || d.of ? shade(d.marker?.color && !Array.isArray(d.marker.color) ? d.marker.color : d.line.color) : colour("--ink");
      const real = (axis, p) => axis.type === "log" ? axis.p2l(p) : axis.p2d(p);
      placed.spots = [...placed.spots ?? [], { x: real(xaxis, spot.cx), y: real(yaxis, spot.cy), text: label, showarrow: false, font: { size, color: tint } }];
      if (spot.lead) placed.leads = [...placed.leads ?? [], { type: "line", x0: xaxis.p2d(spot.lead[0]), y0: yaxis.p2d(spot.lead[1]),
        x1: xaxis.p2d(spot.lead[2]), y1: yaxis.p2d(spot.lead[3]), line: { color: colour("--muted"), width: 1 } }];
    }
  }
  return [placed.spots ?? [], placed.leads ?? []];
}
const shrunk = b => [b[0] + 3, b[1] + 3, b[2] - 3, b[3] - 3];
// Whether a leader crosses a line, further than some pixels from where it begins.
function crosses([x0, y0, x1, y1], [u0, v0, u1, v1]) {
  const across = (x1 - x0) * (v1 - v0) - (y1 - y0) * (u1 - u0);
  if (!across) return false;
  const along = ((u0 - x0) * (v1 - v0) - (v0 - y0) * (u1 - u0)) / across, beside = ((u0 - x0) * (y1 - y0) - (v0 - y0) * (x1 - x0)) / across;
  return along > 0.15 && along <= 1 && beside >= 0 && beside <= 1;
}
// Whether a line crosses a box (Liang and Barsky 1984).
function meets([x0, y0, x1, y1], [left, top, right, bottom]) {
  let low = 0, high = 1;
  for (const [p, q] of [[x0 - x1, x0 - left], [x1 - x0, right - x0], [y0 - y1, y0 - top], [y1 - y0, bottom - y0]]) {
    if (p === 0 && q < 0) return false;
    if (p < 0) low = Math.max(low, q / p);
    if (p > 0) high = Math.min(high, q / p);
  }
  return low <= high;
}

function draw(figure) {
  const node = document.getElementById(figure.id), state = shown.get(figure.id), view = figure.views[state.view];
  if (!node?.classList.contains("chart")) return; // the page makes something else of it
  const width = node.clientWidth;
  for (const [part, text] of [["title", view.title], ["caption", view.caption]]) {
    const place = document.getElementById(`${figure.id}-${part}`);
    if (place && text) place.textContent = part === "title" ? text.replace(/(?<=\S)([-/,=])(?=\S)/g, "$1\u2060").replaceAll(" %", "\u00a0%") : text;
  }
  if (!width) return; // its section is folded
  const data = view.data.filter(d => wanted(d, state)), names = ends(figure, data, state, width);
  const right = Math.max(12, ...names.map(name => name.wide + 12));
  Plotly.react(node, dressed(data), layout(figure, view, state, width, right), config);
  const named = () => {
    const [spots, leads] = pointLabels(node, data, width);
    Plotly.relayout(node, { annotations: [...marks(figure, state), ...endLabels(node, figure, names), ...spots],
      shapes: [...layout(figure, view, state, width, right).shapes, ...leads] });
  };
  named();
  node.removeAllListeners?.("plotly_relayout");
  node.on("plotly_relayout", changed => { if (Object.keys(changed).some(key => /^[xy]axis/.test(key))) named(); });
}
darkness.addEventListener("change", () => figures.forEach(draw));
let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => figures.forEach(draw), 150); });
// A folded section draws its charts when it is opened, and opens for a link into it and for paper.
for (const fold of document.querySelectorAll("details")) {
  fold.addEventListener("toggle", () => { if (fold.open) figures.filter(f => fold.contains(document.getElementById(f.id))).forEach(draw); });
}
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.addEventListener("click", () => document.getElementById(link.hash.slice(1))?.closest("details")?.setAttribute("open", ""));
}
addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
