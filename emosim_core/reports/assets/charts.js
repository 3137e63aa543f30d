// Draws charts with Plotly when they come into view, and their tables when they are opened.

/** Lines that have bands of intervals; bands of more would cover each other. chart.py has the same number. */
const BANDS = 3;

let plotlyLoaded = null;

/** Plotly, which is loaded at the first use; how, says the page. */
function plotly() {
  plotlyLoaded ??= loadPlotly();
  return plotlyLoaded;
}

const drawn = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A text of data for Plotly, which reads some markup in texts. */
function literal(text) {
  return String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function shortened(text, most) {
  const letters = [...String(text)];
  return literal(letters.length <= most ? text : `${letters.slice(0, most - 1).join('')}…`);
}

/** A text in up to two lines, broken between words, or else after an underscore. */
function wrapped(text, most) {
  const letters = [...String(text)];
  const space = letters.lastIndexOf(' ', most);
  const gap = space < 1 ? letters.lastIndexOf('_', most - 1) : space;
  if (letters.length <= most || gap < 1) return shortened(text, most);
  const first = letters.slice(0, space < 1 ? gap + 1 : gap);
  return `${literal(first.join(''))}<br>${shortened(letters.slice(gap + 1).join(''), most)}`;
}

function written(value, form, digits = 2) {
  if (value === null || value === undefined) return '–';
  if (form === 'share') return `${(100 * value).toFixed(1)}%`;
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(digits);
}

function withAlpha(hex, alpha) {
  const parts = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  return `rgba(${parts.join(',')},${alpha})`;
}

function hint(chart, series, i, name) {
  const rows = [literal(name), `${literal(series.name)}: ${written(series.y[i], chart.form)}`];
  if (series.low.length && series.low[i] !== null) {
    rows.push(`95 %: ${written(series.low[i], chart.form)} to ${written(series.high[i], chart.form)}`);
  }
  if (series.counts.length) rows.push(`of ${series.counts[i].toLocaleString('en')}`);
  return rows.join('<br>');
}

function errors(series) {
  if (!series.low.some((end) => end !== null)) return { visible: false };
  return {
    type: 'data', symmetric: false, thickness: 1.5, width: 3, color: colour('text'),
    array: series.y.map((value, i) => (series.high[i] === null ? NaN : series.high[i] - value)),
    arrayminus: series.y.map((value, i) => (series.low[i] === null ? NaN : value - series.low[i])),
  };
}

function places(names, most, label = wrapped) {
  return { tickmode: 'array', tickvals: names.map((_, i) => i), ticktext: names.map((name) => label(name, most)), showgrid: false, zeroline: false };
}

/** The look of the bars of a series: a colour, and stripes where the colours begin again. */
function bar(k) {
  const stripes = { shape: ['', '/', 'x', '.'][Math.floor(k / 4) % 4], fillmode: 'overlay', fgcolor: colour('text'), fgopacity: 0.6, size: 6 };
  return { color: withAlpha(colour(`series-${(k % 4) + 1}`), 0.72), pattern: stripes };
}

/** Traces and axes of each kind of chart. Categories stand at whole numbers, so that equal names stay apart. */
const KINDS = {
  bars(chart) {
    const traces = chart.series.map((series, k) => ({
      type: 'bar', name: literal(series.name), x: series.y.map((_, i) => i), y: series.y,
      marker: bar(k), error_y: errors(series), hoverinfo: 'text',
      hovertext: series.y.map((_, i) => hint(chart, series, i, chart.names[i])),
    }));
    const every = chart.names.length > 12 ? Math.ceil(chart.names.length / 10) : 1;
    const x = places(chart.names, 14);
    x.tickvals = x.tickvals.filter((i) => i % every === 0);
    x.ticktext = x.ticktext.filter((_, i) => i % every === 0);
    return { traces, x, y: { rangemode: 'tozero' } };
  },
  rows(chart, narrow) {
    const traces = chart.series.map((series, k) => ({
      type: 'bar', orientation: 'h', name: literal(series.name), y: series.y.map((_, i) => i), x: series.y,
      marker: bar(k), error_x: errors(series), hoverinfo: 'text',
      hovertext: series.y.map((_, i) => hint(chart, series, i, chart.names[i])),
    }));
    const most = chart.series.length;
    return {
      traces,
      x: { rangemode: 'tozero' },
      y: { ...places(chart.names, 36), ...(narrow ? { ticktext: chart.names.map((name) => wrapped(name, 18)) } : {}), autorange: 'reversed', title: undefined },
      height: Math.max(140, chart.names.length * Math.max(26, 15 * most) + 90),
    };
  },
  lines(chart) {
    const traces = [];
    chart.series.forEach((series, k) => {
      const shade = colour(`series-${(k % 4) + 1}`);
      if (series.low.length && hasBands(chart)) {
        const edge = { type: 'scatter', mode: 'lines', x: series.x, line: { width: 0 }, hoverinfo: 'skip', showlegend: false };
        traces.push({ ...edge, y: series.low }, { ...edge, y: series.high, fill: 'tonexty', fillcolor: withAlpha(shade, 0.22) });
      }
      traces.push({
        type: 'scatter', mode: series.x.length > 1 ? 'lines' : 'markers', name: literal(series.name), x: series.x, y: series.y,
        line: { color: shade, width: 2, dash: ['solid', 'dash', 'dot', 'dashdot'][(k + Math.floor(k / 4)) % 4] },
        marker: { color: shade }, hoverinfo: 'text',
        hovertext: series.y.map((_, i) => hint(chart, series, i, `${chart.x}: ${written(series.x[i])}`)),
      });
    });
    return { traces, x: {}, y: {} };
  },
  heat(chart, narrow) {
    return {
      traces: [{
        type: 'heatmap', z: chart.cells, x: chart.names.map((_, i) => i), y: chart.rows.map((_, i) => i), colorscale: 'Cividis',
        zmin: chart.y_range?.[0], zmax: chart.y_range?.[1], xgap: 1, ygap: 1, hoverinfo: 'text', hoverongaps: false,
        text: chart.cells.map((row, j) => row.map((value, i) =>
          `${literal(chart.rows[j])}<br>${literal(chart.names[i])}<br>${literal(chart.cells_are)}: ${written(value, chart.form)}`)),
        colorbar: { title: { text: literal(chart.cells_are), side: 'right' }, thickness: 14, outlinewidth: 0 },
      }],
      x: { ...places(chart.names, 24, shortened), tickangle: 50, title: undefined },
      y: { ...places(chart.rows, narrow ? 26 : 44, shortened), autorange: 'reversed', title: undefined },
      height: Math.max(280, chart.rows.length * 20 + 220),
    };
  },
  plane(chart) {
    const [across, up] = chart.edges;
    const middle = (edges) => edges.slice(1).map((edge, i) => (edge + edges[i]) / 2);
    const traces = [{
      type: 'heatmap', z: chart.cells, x: middle(across), y: middle(up), hoverinfo: 'text', hoverongaps: false,
      colorscale: [[0, withAlpha(colour('series-4'), 0.06)], [1, withAlpha(colour('series-4'), 0.75)]],
      text: chart.cells.map((row) => row.map((value) => `${literal(chart.cells_are)}: ${written(value, chart.form)}`)),
      showscale: false,
    }];
    chart.series.forEach((series, k) => {
      const shade = colour(`series-${k + 1}`);
      traces.push({
        type: 'scatter', mode: 'lines+markers', name: literal(series.name), x: series.x, y: series.y,
        line: { color: shade, width: 2 }, hoverinfo: 'text',
        marker: {
          color: series.y.map((_, i) => (i ? shade : colour('card'))), line: { color: shade, width: 2 },
          size: series.y.map((_, i) => (i ? 4 : 11)),
        },
        hovertext: series.y.map((value, i) =>
          `${literal(series.name)}<br>step ${i + 1}: valence ${written(series.x[i])}, arousal ${written(value)}`
          + (series.counts.length ? `<br>of ${series.counts[i].toLocaleString('en')}` : '')),
      });
    });
    return { traces, x: { range: [-1, 1], zeroline: true }, y: { range: [0, 1] }, height: 380 };
  },
};

const ENDS = { most: 8, least: 560, gap: 14, letter: 6.6 };

/** The names of lines at their ends, moved apart where they would overlap; none where there is no room for them. */
function namesAtEnds(chart, place, range) {
  const drawnSeries = chart.series.map((series, k) => ({ series, k })).filter(({ series }) => series.y.some((value) => value !== null));
  if (chart.kind !== 'lines' || drawnSeries.length < 2 || drawnSeries.length > ENDS.most || place.clientWidth < ENDS.least) return null;
  const height = 320 - 54;
  const pixel = (value) => (height * (range[1] - value)) / (range[1] - range[0]);
  const ends = drawnSeries.map(({ series, k }) => {
    const last = series.y.findLastIndex((value) => value !== null);
    return { name: shortened(series.name, 24), k, x: series.x[last], y: series.y[last], at: pixel(series.y[last]) };
  }).sort((a, b) => a.at - b.at);
  ends.forEach((end, i) => { end.placed = i ? Math.max(end.at, ends[i - 1].placed + ENDS.gap) : end.at; });
  const over = Math.max(0, ends[ends.length - 1].placed - height);
  ends.forEach((end) => { end.placed -= over; });
  const width = Math.max(...ends.map((end) => end.name.length));
  return {
    width: Math.ceil(width * ENDS.letter) + 14,
    annotations: ends.map((end) => ({
      x: 1, xref: 'paper', y: end.y, yref: 'y', yshift: end.at - end.placed, xanchor: 'left', xshift: 6, yanchor: 'middle',
      text: end.name, showarrow: false, font: { color: colour(`series-${(end.k % 4) + 1}`), size: 12 },
    })),
  };
}

/** Whether the lines of a chart that have intervals are few enough for bands. */
function hasBands(chart) {
  return chart.series.filter((series) => series.low.length).length <= BANDS;
}

/** The range of the values of lines and their bands. */
function rangeOf(chart) {
  if (chart.y_range) return chart.y_range;
  const banded = hasBands(chart);
  const values = chart.series.flatMap((series) => [...series.y, ...(banded ? [...series.low, ...series.high] : [])]).filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.05 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

/** Draw a chart into an element. */
async function draw(place, chart) {
  const library = await plotly();
  const narrow = place.clientWidth < 480;
  const { traces, x, y, height } = KINDS[chart.kind](chart, narrow);
  const axis = { gridcolor: colour('line'), zerolinecolor: colour('line'), linecolor: colour('line'), automargin: true, fixedrange: true };
  const values = chart.kind === 'rows' ? x : y;
  if (chart.y_range && chart.kind !== 'heat') values.range = chart.y_range;
  if (chart.form === 'share' && chart.kind !== 'plane' && chart.kind !== 'heat') values.tickformat = '.0%';
  const layout = {
    width: Number(place.dataset.width) || undefined, height: height ?? 320, margin: { l: 52, r: 12, t: 10, b: 44 }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    font: { color: colour('text'), family: getComputedStyle(document.body).fontFamily, size: 12 },
    legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 }, barmode: 'group', bargap: 0.25, dragmode: false,
    showlegend: chart.series.length > 1, hoverlabel: { bgcolor: colour('card'), bordercolor: colour('line'), font: { color: colour('text') }, align: 'left' },
    xaxis: { ...axis, title: { text: literal(chart.x), standoff: 8 }, ...x }, yaxis: { ...axis, title: { text: literal(chart.y), standoff: 8 }, ...y },
  };
  const ends = chart.kind === 'lines' && chart.series.length > 1 ? namesAtEnds(chart, place, rangeOf(chart)) : null;
  if (ends) {
    Object.assign(layout, { annotations: ends.annotations, showlegend: false, margin: { ...layout.margin, r: ends.width } });
    layout.yaxis.range = rangeOf(chart);
  }
  place.style.height = `${layout.height}px`; // when the window changes, Plotly takes the height of the place
  drawn.set(place, chart);
  await library.react(place, traces, layout, { displayModeBar: false, responsive: true, displaylogo: false });
  place.dataset.drawn = 'yes';
}

/** Draw all that is on the page again, in the colours of now. */
function redraw() {
  for (const [place, chart] of drawn) {
    if (place.isConnected) draw(place, chart);
    else drawn.delete(place);
  }
}

function interval(series, i, form) {
  if (!series.low.length || series.low[i] === null) return '';
  return ` (${written(series.low[i], form)} to ${written(series.high[i], form)})`;
}

/** The numbers of a chart, as headings and rows of text. */
function numbersOf(chart) {
  if (chart.kind === 'heat') {
    return [[chart.y, ...chart.names], chart.rows.map((name, j) => [name, ...chart.cells[j].map((value) => written(value, chart.form))])];
  }
  if (chart.kind === 'plane') {
    const longest = Math.max(0, ...chart.series.map((series) => series.y.length));
    const rows = Array.from({ length: longest }, (_, i) => [String(i + 1), ...chart.series.flatMap((series) => [written(series.x[i]), written(series.y[i])])]);
    return [['step', ...chart.series.flatMap((series) => [`${series.name}: valence`, `${series.name}: arousal`])], rows];
  }
  const counted = chart.series.some((series) => series.counts.length);
  const headings = chart.series.map((series) => (series.low.length ? `${series.name} (95 % interval)` : series.name));
  const cells = (series, i) => (i < 0 ? '–' : written(series.y[i], chart.form) + interval(series, i, chart.form));
  if (chart.kind === 'lines') {
    const all = [...new Set(chart.series.flatMap((series) => series.x))].sort((a, b) => a - b);
    const where = chart.series.map((series) => new Map(series.x.map((x, i) => [x, i])));
    return [[chart.x, ...headings], all.map((x) => [written(x), ...chart.series.map((series, k) => cells(series, where[k].get(x) ?? -1))])];
  }
  const rows = chart.names.map((name, i) => [
    name, ...chart.series.map((series) => cells(series, i)),
    ...(counted ? [chart.series.map((series) => series.counts[i]).filter((count) => count !== undefined).map((count) => count.toLocaleString('en')).join(', ')] : []),
  ]);
  return [[chart.kind === 'rows' ? chart.y : chart.x, ...headings, ...(counted ? ['count'] : [])], rows];
}

function table(headings, rows) {
  const head = element('tr', {}, ...headings.map((name) => element('th', { scope: 'col' }, name)));
  const body = rows.map(([first, ...rest]) => element('tr', {}, element('th', { scope: 'row' }, first), ...rest.map((cell) => element('td', {}, cell))));
  return element('table', {}, element('thead', {}, head), element('tbody', {}, ...body));
}

/** Set all charts of the page up: drawn when near the view, the others when there is time; tables made when opened. */
async function setUpCharts() {
  const charts = new Map((await unpack('charts')).map((chart) => [chart.id, chart]));
  const places = [...document.querySelectorAll('[data-chart] .plot')];
  const begun = new Set();
  const drawOnce = async (place) => {
    if (begun.has(place)) return;
    begun.add(place);
    await draw(place, charts.get(place.closest('[data-chart]').dataset.chart));
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      drawOnce(entry.target);
    }
  }, { rootMargin: '300px' });
  places.forEach((place) => seen.observe(place));
  for (const holder of document.querySelectorAll('[data-chart]')) {
    holder.querySelector('details').addEventListener('toggle', (event) => {
      const place = event.target.querySelector('.scroll');
      if (!place.childElementCount) place.append(table(...numbersOf(charts.get(holder.dataset.chart))));
    });
  }
  drawAll(places, drawOnce);
}

/** Draw what nobody has scrolled to yet, one chart after another: for paper and for pictures of the whole page. */
async function drawAll(places, drawOnce) {
  for (const place of places) {
    await new Promise((go) => { if (window.requestIdleCallback) requestIdleCallback(go, { timeout: 500 }); else setTimeout(go, 50); });
    await drawOnce(place);
  }
}
