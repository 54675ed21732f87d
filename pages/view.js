"use strict";
// The zoomable view of a run's series. Drag selects a stretch, a double click shows all; keys: arrows, + - 0.
(() => {
  const tag = document.getElementById("series");
  const place = document.getElementById("view");
  if (!tag || !place) return;
  const UNKNOWN = 65535;
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const make = (name, into, text) => {
    const one = document.createElement(name);
    if (text !== undefined) one.textContent = text;
    into.append(one);
    return one;
  };
  const frames = JSON.parse(tag.textContent).map(frame => ({
    ...frame,
    at: new Float64Array(bytes(frame.at).buffer),
    lines: frame.lines.map(line => ({
      ...line,
      values: Float64Array.from(new Uint16Array(bytes(line.values).buffer),
        code => code === UNKNOWN ? NaN : line.low + code * line.unit),
    })),
  })).filter(frame => frame.at.length);
  if (!frames.length) return;

  const bar = make("div", place); bar.className = "bar";
  const which = make("select", bar), what = make("select", bar);
  which.setAttribute("aria-label", "row"); what.setAttribute("aria-label", "channel");
  frames.forEach((frame, k) => { make("option", which, frame.title).value = k; });
  which.hidden = frames.length < 2;
  const button = (text, label, action) => {
    const one = make("button", bar, text);
    one.type = "button"; one.title = label; one.setAttribute("aria-label", label);
    one.addEventListener("click", action);
    return one;
  };
  const canvas = make("canvas", place);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  const legend = make("div", place); legend.className = "legend";
  const read = make("div", place); read.className = "read";
  let frame, plot, lines, from, to, low, high, drag = null, over = null;
  let pad = { left: 56, right: 10, top: 12, bottom: 36 };

  // --- what is seen ---
  const first = () => frame.at[0], last = () => frame.at[frame.at.length - 1];
  const least = () => Math.max((last() - first()) / frame.at.length / 4, 1e-9);
  function see(a, b) {
    const whole = Math.max(last() - first(), least());
    const width = Math.min(Math.max(b - a, 4 * least()), whole);
    from = Math.min(Math.max(a, first()), first() + whole - width);
    to = from + width;
    place.dataset.from = from; place.dataset.to = to;
    draw();
  }
  const zoom = (factor, middle = (from + to) / 2) =>
    see(middle - (middle - from) * factor, middle + (to - middle) * factor);
  const move = share => see(from + share * (to - from), to + share * (to - from));
  button("−", "zoom out", () => zoom(2));
  button("+", "zoom in", () => zoom(0.5));
  button("◀", "earlier", () => move(-0.5));
  button("▶", "later", () => move(0.5));
  button("all", "show all", () => see(first(), last()));
  const detail = button("detail", "show the stretch of which every step is here", () => see(...frame.detail));

  function choose() {
    frame = frames[which.value || 0];
    const kept = what.selectedIndex;
    what.replaceChildren();
    frame.plots.forEach((each, k) => { make("option", what, each.name).value = k; });
    what.hidden = frame.plots.length < 2;
    if (kept > 0 && kept < frame.plots.length) what.selectedIndex = kept;
    detail.hidden = !frame.detail;
    pick(); see(first(), last());
  }
  function pick() {
    plot = frame.plots[what.value || 0];
    lines = plot.lines.map(k => frame.lines[k]);
    canvas.setAttribute("aria-label", `${frame.title}: ${plot.name}`);
    read.textContent = "drag over a stretch to enlarge it, double click for all";
  }
  which.addEventListener("change", choose);
  what.addEventListener("change", () => { pick(); draw(); });

  // --- axes ---
  const colour = name => getComputedStyle(place).getPropertyValue("--" + name).trim();
  const LOOK = { truth: ["truth", [], 1.6], prediction: ["prediction", [], 1.8], beside: ["beside", [2, 2], 1],
    on: ["beside", [], 0], said: ["prediction", [], 0] };
  const strip = line => line.look === "on" || line.look === "said";
  const band = line => line.look === "low" || line.look === "high";
  const two = n => String(n).padStart(2, "0");
  function steps(a, b, most) {
    const raw = (b - a) / most, size = 10 ** Math.floor(Math.log10(raw));
    const unit = [1, 2, 5, 10].find(k => k * size >= raw) * size;
    const found = [];
    for (let k = Math.ceil(a / unit); k * unit <= b; k++) found.push(k * unit);
    return [found, unit];
  }
  const S = 1e3, M = 60 * S, H = 60 * M, D = 24 * H;
  function dates(a, b, most) {
    const raw = (b - a) / most, found = [];
    const unit = [S, 2 * S, 5 * S, 10 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 30 * M, H, 2 * H, 3 * H, 6 * H, 12 * H, D,
      2 * D, 7 * D, 14 * D].find(u => u >= raw);
    if (unit) {
      const shift = unit % (7 * D) === 0 ? 4 * D : 0; // weeks begin on a Monday
      for (let k = Math.ceil((a - shift) / unit); k * unit + shift <= b; k++) found.push(k * unit + shift);
      return [found, unit];
    }
    const months = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600].find(m => m * 30 * D >= raw) || 1200;
    const start = new Date(a);
    for (let k = Math.ceil((start.getUTCFullYear() * 12 + start.getUTCMonth()) / months) * months; ; k += months) {
      const t = Date.UTC(Math.floor(k / 12), k % 12);
      if (t > b) break;
      if (t >= a) found.push(t);
    }
    return [found, months * 30 * D];
  }
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  function tick(t, unit) {
    const d = new Date(t);
    if (unit >= 300 * D) return String(d.getUTCFullYear());
    if (unit >= 28 * D) return `${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
    const clock = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}` + (unit < M ? ":" + two(d.getUTCSeconds()) : "");
    return unit >= D || d.getUTCHours() + d.getUTCMinutes() + d.getUTCSeconds() === 0
      ? `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}` : clock;
  }
  const stamp = t => frame.dated ? new Date(t).toISOString().replace("T", " ").replace(/(:00)?\.000Z$/, "")
    : `${frame.label} ${+t.toFixed(2)}`;
  const figure = v => Number.isNaN(v) ? "–" : Math.abs(v) >= 1e6 || (v !== 0 && Math.abs(v) < 1e-4) ? v.toExponential(2)
    : String(+v.toPrecision(4));

  // --- drawing ---
  const x = t => pad.left + (t - from) / (to - from) * (canvas.clientWidth - pad.left - pad.right);
  const t_at = px => from + (px - pad.left) / (canvas.clientWidth - pad.left - pad.right) * (to - from);
  const y = v => pad.top + (high - v) / (high - low) * (canvas.clientHeight - pad.top - pad.bottom);
  function near(t) { // the index of the step at or before t
    let a = 0, b = frame.at.length - 1;
    while (a < b) { const m = (a + b + 1) >> 1; if (frame.at[m] <= t) a = m; else b = m - 1; }
    return a;
  }
  function draw() {
    const wide = canvas.clientWidth, tall = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
    if (!wide) return;
    canvas.width = Math.round(wide * ratio); canvas.height = Math.round(tall * ratio);
    const g = canvas.getContext("2d");
    g.scale(ratio, ratio); g.clearRect(0, 0, wide, tall);
    g.font = "12px system-ui, sans-serif";
    const a = Math.max(near(from) - 1, 0), b = Math.min(near(to) + 2, frame.at.length);
    low = Infinity; high = -Infinity;
    for (const line of lines) if (!strip(line)) for (let k = a; k < b; k++) {
      const v = line.values[k];
      if (v < low) low = v;
      if (v > high) high = v;
    }
    if (plot.level !== undefined) { low = Math.min(low, plot.level); high = Math.max(high, plot.level); }
    if (low > high) { low = 0; high = 1; }
    const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
    const strips = lines.filter(strip).length;
    low -= room; high += room + strips * (high - low) * 0.1;
    const [levels, unit] = steps(low, high, tall / 60);
    pad.left = 16 + Math.max(30, ...levels.map(v => g.measureText(figure(v)).width));
    axes(g, wide, tall, levels);
    g.save();
    g.beginPath(); g.rect(pad.left, 0, wide - pad.left - pad.right, tall - pad.bottom); g.clip();
    area(g, a, b);
    if (plot.level !== undefined) stroke(g, [[from, plot.level], [to, plot.level]], colour("mark"), [6, 3], 1.2);
    let row = 0;
    for (const line of [...lines].sort((p, q) => (q.look === "beside") - (p.look === "beside"))) {
      if (strip(line)) states(g, line, a, b, row++);
      else if (!band(line)) curve(g, line, a, b);
    }
    g.restore();
    if (drag) {
      g.globalAlpha = 0.2; g.fillStyle = colour("prediction");
      g.fillRect(Math.min(drag.begin, drag.end), pad.top, Math.abs(drag.end - drag.begin), tall - pad.top - pad.bottom);
      g.globalAlpha = 1;
    }
    if (over !== null) stroke(g, [[frame.at[over], low], [frame.at[over], high]], colour("dim"), [2, 2], 1);
    explain();
  }
  function axes(g, wide, tall, levels) {
    g.strokeStyle = colour("line"); g.fillStyle = colour("dim"); g.lineWidth = 1;
    g.textAlign = "right"; g.textBaseline = "middle";
    for (const v of levels) {
      g.beginPath(); g.moveTo(pad.left, y(v)); g.lineTo(wide - pad.right, y(v)); g.stroke();
      g.fillText(figure(v), pad.left - 6, y(v));
    }
    const most = Math.max(2, wide / 110);
    const [ticks, unit] = frame.dated ? dates(from, to, most) : steps(from, to, most);
    g.textBaseline = "top";
    for (const t of ticks) {
      const text = frame.dated ? tick(t, unit) : figure(t), half = g.measureText(text).width / 2;
      g.beginPath(); g.moveTo(x(t), tall - pad.bottom); g.lineTo(x(t), tall - pad.bottom + 4); g.stroke();
      g.textAlign = x(t) - half < 0 ? "left" : x(t) + half > wide ? "right" : "center";
      g.fillText(text, x(t), tall - pad.bottom + 6);
    }
    g.textAlign = "left";
    if (plot.unit) g.fillText(plot.unit, pad.left + 4, 0);
    g.textAlign = "right"; g.textBaseline = "bottom";
    g.fillText(frame.dated ? `${stamp(from)} to ${stamp(to)}`.replace(/\.\d+Z/g, "") : frame.label, wide - pad.right, tall - 1);
  }
  function stroke(g, points, ink, dash, width) {
    g.strokeStyle = ink; g.lineWidth = width; g.setLineDash(dash);
    g.beginPath();
    let pen = false;
    for (const [t, v] of points) {
      if (Number.isNaN(v)) { pen = false; continue; }
      if (pen) g.lineTo(x(t), y(v)); else g.moveTo(x(t), y(v));
      pen = true;
    }
    g.stroke(); g.setLineDash([]);
  }
  function curve(g, line, a, b) {
    const [name, dash, width] = LOOK[line.look], points = [];
    for (let k = a; k < b; k++) points.push([frame.at[k], line.values[k]]);
    if (frame.joined) stroke(g, points, colour(name), dash, width);
    const known = points.filter(([, v]) => !Number.isNaN(v));
    g.fillStyle = colour(name);
    points.forEach(([t, v], k) => { // few steps get dots, and so does one between two gaps
      const alone = Number.isNaN(points[k - 1]?.[1] ?? NaN) && Number.isNaN(points[k + 1]?.[1] ?? NaN);
      if (Number.isNaN(v) || (frame.joined && known.length > 60 && !alone)) return;
      g.beginPath();
      if (line.look === "truth") g.arc(x(t), y(v), 2.6, 0, 7); else g.rect(x(t) - 2.4, y(v) - 2.4, 4.8, 4.8);
      g.fill();
    });
  }
  function area(g, a, b) {
    const lower = lines.find(line => line.look === "low"), upper = lines.find(line => line.look === "high");
    if (!lower || !upper) return;
    g.fillStyle = colour("band"); g.globalAlpha = 0.35;
    let k = a;
    while (k < b) {
      while (k < b && Number.isNaN(upper.values[k] + lower.values[k])) k++;
      const begin = k;
      g.beginPath();
      for (; k < b && !Number.isNaN(upper.values[k] + lower.values[k]); k++) g.lineTo(x(frame.at[k]), y(upper.values[k]));
      for (let j = k - 1; j >= begin; j--) g.lineTo(x(frame.at[j]), y(lower.values[j]));
      if (k - begin === 1) g.rect(x(frame.at[begin]) - 3, y(upper.values[begin]), 6, y(lower.values[begin]) - y(upper.values[begin]));
      g.fill();
    }
    g.globalAlpha = 1;
  }
  function states(g, line, a, b, row) {
    g.fillStyle = colour(LOOK[line.look][0]);
    for (let k = a; k < b; k++) if (line.values[k] > 0.5) {
      const end = k + 1 < frame.at.length ? frame.at[k + 1] : frame.at[k];
      g.fillRect(x(frame.at[k]), pad.top + 2 + row * 13, Math.max(x(end) - x(frame.at[k]), 1), 10);
    }
  }
  function explain() {
    legend.replaceChildren();
    const entries = lines.filter(line => line.look !== "high").map(line =>
      band(line) ? ["band", line.name, "solid"] : [LOOK[line.look][0], line.name, line.look === "beside" ? "dotted" : "solid"]);
    if (plot.level !== undefined) entries.push(["mark", plot.mark + " " + figure(plot.level), "dashed"]);
    for (const [ink, text, dash] of entries) {
      const one = make("span", legend), swatch = make("i", one);
      swatch.style.borderColor = `var(--${ink})`; swatch.style.borderTopStyle = dash;
      one.append(text);
    }
  }

  // --- hands ---
  const px = event => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener("pointerdown", event => {
    drag = { begin: px(event), end: px(event) };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (drag) drag.end = px(event);
    let k = near(t_at(px(event)));
    if (k + 1 < frame.at.length && frame.at[k + 1] - t_at(px(event)) < t_at(px(event)) - frame.at[k]) k++;
    over = k;
    read.textContent = [stamp(frame.at[k]), ...lines.map(line => `${line.name} ${figure(line.values[k])}`)].join(" · ");
    draw();
  });
  const end = event => {
    if (!drag) return;
    const [a, b] = [drag.begin, px(event)].sort((p, q) => p - q);
    drag = null;
    if (b - a > 6) see(t_at(a), t_at(b)); else draw();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", () => { drag = null; draw(); });
  canvas.addEventListener("pointerleave", () => { over = null; if (!drag) draw(); });
  canvas.addEventListener("dblclick", () => see(first(), last()));
  canvas.addEventListener("wheel", event => { // a pinch on a touch pad, too; the plain wheel scrolls the page
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    zoom(Math.exp((event.deltaY || event.deltaX) / 400), t_at(px(event)));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const act = { ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), "+": () => zoom(0.5), "=": () => zoom(0.5),
      "-": () => zoom(2), 0: () => see(first(), last()) }[event.key];
    if (act) { act(); event.preventDefault(); }
  });
  new ResizeObserver(() => draw()).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  choose();
})();
