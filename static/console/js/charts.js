// Draws every [data-chart] from the JSON beside it with uPlot, in the page's own colors, and anew when they change.
const DAY = 86400;
const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat(document.documentElement.lang, { notation: "compact", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(document.documentElement.lang, { month: "short", day: "numeric", timeZone: "UTC" });

// A canvas cannot read `light-dark()`: the browser says what it comes to.
function color(place, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function stacked(series) {
  const sums = series[0].values.map(() => 0);
  return series.map(({ values }) => values.map((value, at) => (sums[at] += value ?? 0)));
}

function draw(place) {
  const { kind, days, series } = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  const bars = kind === "bars";
  const colors = series.map((_each, at) => color(place, `--series-${(at % 7) + 1}`));
  const [grid, words] = [color(place, "--line"), color(place, "--faint")];
  // Bars stand on one another: the highest sum is drawn first, the others in front of it.
  const drawn = bars ? stacked(series) : series.map(({ values }) => values);
  const order = series.map((_each, at) => at);
  if (bars) order.reverse();
  const axis = { stroke: words, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const options = {
    width: place.clientWidth,
    height: 240,
    tzDate: (moment) => uPlot.tzDate(new Date(moment * 1000), "Etc/UTC"),
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { range: (_plot, low, high) => [low - DAY / 2, high + DAY / 2] }, y: { range: (_plot, _low, high) => [0, Math.max(high ?? 0, bars ? 1 : 0.1) * 1.08] } },
    axes: [
      { ...axis, grid: { show: false }, values: (_plot, moments) => moments.map((moment) => day.format(moment * 1000)), incrs: [DAY, 2 * DAY, 5 * DAY, 7 * DAY, 14 * DAY, 30 * DAY], space: 64 },
      { ...axis, values: (_plot, values) => values.map((value) => short.format(value)), size: 52 },
    ],
    series: [
      { value: (_plot, moment) => (moment === null ? "–" : day.format(moment * 1000)), label: place.dataset.day },
      ...order.map((at) => ({
        label: series[at].name,
        stroke: colors[at],
        fill: bars ? colors[at] : undefined,
        width: bars ? 0 : 2,
        points: { show: !bars && days.length <= 31, size: 5 },
        paths: bars ? uPlot.paths.bars({ size: [0.7, 28], radius: 0.15 }) : undefined,
        value: (_plot, _value, _number, index) => told(series[at].values[index ?? -1]),
      })),
    ],
  };
  place.replaceChildren();
  return new uPlot(options, [days, ...order.map((at) => drawn[at])], place);
}

function told(value) {
  return value === null || value === undefined ? "–" : number.format(value);
}

const places = [...document.querySelectorAll("[data-chart]")];
const plots = new Map();
const drawAll = () => places.forEach((place) => plots.set(place, draw(place)));
drawAll();

const watched = new ResizeObserver((changes) => changes.forEach(({ target }) => plots.get(target)?.setSize({ width: target.clientWidth, height: 240 })));
places.forEach((place) => watched.observe(place));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
