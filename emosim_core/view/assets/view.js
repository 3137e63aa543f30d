// What all pages of the application use: the data of the page, calls to the server, streams, and trouble that is said.

const byId = (id) => document.getElementById(id);

/** The value that the server put into the page; null where there is none. */
function pageData() {
  const holder = byId('data');
  return holder ? JSON.parse(holder.textContent) : null;
}

/** Say what went wrong, below the page; an empty text takes it away. */
function trouble(text) {
  const place = byId('trouble');
  place.textContent = text;
  place.hidden = !text;
}

/** Call the server, and return the JSON of its answer; `body` makes it a change. Rejects with what the server says. */
async function api(address, body) {
  let answer;
  try {
    answer = await fetch(address, body === undefined ? {} : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  } catch (error) {
    throw new Error('The server does not answer; has emosim view ended?', { cause: error });
  }
  const said = await answer.text();
  let value;
  try { value = JSON.parse(said); } catch { value = { error: said }; }
  if (!answer.ok) throw new Error(value.error || `The server answers with ${answer.status}.`);
  return value;
}

/** Follow a stream of the server; `take` gets each value. Returns what closes it. */
function follow(address, take) {
  const source = new EventSource(address);
  source.addEventListener('message', (event) => { trouble(''); take(JSON.parse(event.data)); });
  source.addEventListener('error', () => { trouble('The connection to emosim view is lost; trying again.'); });
  addEventListener('pagehide', () => source.close());
  return () => source.close();
}

/** Plotly, for charts.js. */
function loadPlotly() {
  return new Promise((go, fail) => {
    const script = document.createElement('script');
    script.src = '/static/plotly.js';
    script.addEventListener('load', () => go(window.Plotly));
    script.addEventListener('error', () => fail(new Error('Plotly cannot be loaded.')));
    document.head.append(script);
  });
}

/** A figure with a chart as reports have it: title, caption, plot, and its numbers as a table. */
function figureOf(chart) {
  const plot = element('div', { class: 'plot', role: 'img', 'aria-label': `${chart.title}. ${chart.caption} The numbers are in the table below.` });
  const numbers = element('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': `Table of ${chart.title}` });
  const details = element('details', { class: 'numbers' }, element('summary', {}, 'As a table'), numbers);
  details.addEventListener('toggle', () => numbers.replaceChildren(table(...numbersOf(figure.chart))));
  const figure = element(
    'figure', { class: `card ${chart.kind}`, 'data-chart': chart.id },
    element('figcaption', {}, element('h3', {}, chart.title), element('p', {}, chart.caption)), element('div', { class: 'wide' }, plot), details,
  );
  figure.chart = chart;
  return figure;
}

/** Draw the chart of a figure that is on the page, or draw it again with new values. */
function drawFigure(figure, chart = figure.chart) {
  figure.chart = chart;
  const numbers = figure.querySelector('.numbers');
  figure.querySelector('figcaption p').textContent = chart.caption;
  if (numbers.open) numbers.querySelector('.scroll').replaceChildren(table(...numbersOf(chart)));
  return draw(figure.querySelector('.plot'), chart);
}

/** Pixels that a chart is wide on paper: what a page of A4 has between its margins and those of a card. */
const PAPER = 660;

/** Paper is light and narrow, and nothing can be opened on it: charts are drawn anew for it, and for the screen after. */
function drawForPaper() {
  const { theme } = document.documentElement.dataset;
  const undrawn = [...document.querySelectorAll('figure:not(:has([data-drawn]))')].filter((one) => one.chart);
  const shut = [...document.querySelectorAll('.part:not([open])')];
  const drawAt = (width) => {
    for (const one of document.querySelectorAll('.plot')) one.dataset.width = width;
    redraw();
  };
  document.documentElement.dataset.theme = 'light';
  for (const one of shut) one.open = true;
  drawAt(PAPER);
  for (const one of undrawn) drawFigure(one);
  addEventListener('afterprint', () => {
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    for (const one of shut) one.open = false;
    drawAt('');
    dispatchEvent(new Event('resize')); // Plotly follows the window
  }, { once: true });
}

addEventListener('beforeprint', drawForPaper);
globalThis.redraw = () => {}; // charts.js, on pages with charts, has one that does something
addEventListener('DOMContentLoaded', setUpTheme);
