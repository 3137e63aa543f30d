// The believability test: a person is shown one pair after another, and then the results.

const test = pageData();
let judge = '';
let asked = null;
let waiting = false;

let calls = Promise.resolve();

/** Call the server after what was called before; what goes wrong is said. */
function calling(act) {
  calls = calls.then(async () => {
    waiting = true;
    trouble('');
    try {
      await act();
    } catch (error) {
      trouble(error.message);
    } finally {
      waiting = false;
    }
  });
}

function titled(row) {
  return [row.title, ...(row.about ? [' ', element('small', {}, `(${row.about})`)] : [])];
}

function laterRow(row, other) {
  const apart = row.rating === other.rating ? 'badge' : 'badge apart';
  const cells = [row, other].map((one) => element('td', {}, element('span', { class: apart }, one.rating)));
  return element('tr', {}, element('th', { scope: 'row' }, ...titled(row)), ...cells);
}

/** Show the next pair, or the results after the last. */
async function show(answer) {
  asked = answer.pair;
  byId('asking').hidden = asked === null;
  byId('how').hidden = asked !== null;
  if (asked === null) {
    byId('message').textContent = `All ${answer.count} pairs are judged. Thank you.`;
    await results();
    return;
  }
  byId('results').hidden = true;
  byId('number').textContent = `Pair ${answer.done + 1} of ${answer.count}`;
  byId('earlier-of').hidden = asked.earlier.length === 0;
  byId('earlier').replaceChildren(...asked.earlier.map((row) => element('li', {}, element('span', { class: 'badge' }, row.rating), element('span', {}, ...titled(row)))));
  byId('later').replaceChildren(...asked.first.map((row, place) => laterRow(row, asked.second[place])));
  byId('message').textContent = '';
  byId('number').focus();
}

/** Say which side is real; while the next pair is on its way, nothing. */
function say(side) {
  if (waiting || asked === null) return;
  const { pair } = asked;
  calling(async () => show(await api('/api/believe/verdict', { path: test.path, judge, pair, answer: side })));
}

async function results() {
  const found = await api(`/api/believe/results?path=${encodeURIComponent(test.path)}`);
  byId('sentence').textContent = found.sentence;
  byId('notes').hidden = !found.notes.length;
  byId('notes').replaceChildren(...found.notes.map((note) => element('li', {}, note)));
  byId('columns').replaceChildren(...found.columns.map((name) => element('th', { scope: 'col' }, name)));
  byId('rows').replaceChildren(...found.rows.map(([name, ...cells]) => element('tr', {}, element('th', { scope: 'row' }, name), ...cells.map((cell) => element('td', {}, cell)))));
  byId('results').hidden = false;
  byId('results-title').focus();
}

addEventListener('DOMContentLoaded', () => {
  byId('known').append(...test.judges.map((name) => element('option', { value: name })));
  byId('judge').addEventListener('submit', (event) => {
    event.preventDefault();
    judge = byId('judge').elements.name.value;
    calling(async () => show(await api(`/api/believe/pair?path=${encodeURIComponent(test.path)}&judge=${encodeURIComponent(judge)}`)));
  });
  byId('look').addEventListener('click', () => calling(async () => { byId('asking').hidden = true; asked = null; await results(); }));
  for (const button of document.querySelectorAll('[data-side]')) button.addEventListener('click', () => say(button.dataset.side));
  addEventListener('keydown', (event) => {
    const side = { ArrowLeft: 'first', ArrowRight: 'second' }[event.key];
    if (!side || event.altKey || event.ctrlKey || event.metaKey || event.target.closest('input, select, summary, .scroll')) return;
    event.preventDefault();
    say(side);
  });
  document.documentElement.dataset.ready = 'yes';
});
