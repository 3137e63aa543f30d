// The list of results: sorted, filtered and searched here, kept up to date by the server.

const SORTS = {
  name: (row) => row.path.toLowerCase(),
  kind: (row) => row.kind,
  created: (row) => row.created,
  state: (row) => row.state,
  headline: (row) => row.headline.toLowerCase(),
  tags: (row) => row.tags.join(' ').toLowerCase(),
};
const MOST = 10;

const rows = new Map();
const made = new Map();
const ticked = new Set();
let sorted = { key: 'created', down: true };

function dateOf(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? '–' : date.toLocaleString('sv').slice(0, 16);
}

function jobAddress(path) {
  return `/job/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** The headline of a job, and the interval of its reward where that is known. */
function headlineOf(row) {
  const cell = element('td', { class: 'headline' }, row.headline);
  if (row.interval) {
    const [, low, high] = row.interval.map((value) => value.toFixed(1));
    cell.append(element('span', { class: 'interval' }, `95 % interval of the reward: ${low} to ${high}`));
  }
  if (row.stopped) cell.append(element('span', { class: 'why' }, ` ${row.stopped}`));
  return cell;
}

function tick(row) {
  const box = element('input', { type: 'checkbox', 'aria-label': `Compare ${row.path || row.name}` });
  box.checked = ticked.has(row.path);
  box.addEventListener('change', () => {
    if (box.checked) ticked.add(row.path); else ticked.delete(row.path);
    showCompare();
  });
  return element('td', { class: 'tick' }, element('label', {}, box));
}

function makeRow(row) {
  const name = element('th', { scope: 'row', class: 'name' });
  if (row.folder) name.append(element('span', { class: 'quiet' }, `${row.folder}/`));
  name.append(element('a', { href: jobAddress(row.path) }, row.name));
  const remark = element('td', { class: 'tags' }, ...row.tags.map((tag) => element('span', { class: 'tag' }, tag)));
  if (row.note) remark.append(element('span', { class: 'remark' }, row.note));
  const line = element(
    'tr', {}, tick(row), name, element('td', { class: 'sort' }, row.kind || '–'), element('td', { class: 'created' }, dateOf(row.created)),
    element('td', { class: 'state' }, element('span', { class: `state-${row.state}` }, row.state)), headlineOf(row), remark,
  );
  line.dataset.path = row.path;
  return line;
}

function fits(row) {
  const words = byId('q').value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [row.path, row.name, row.kind, row.state, row.headline, row.note, ...row.tags].join('\n').toLowerCase();
  return words.every((word) => text.includes(word)) && (!byId('kind').value || row.kind === byId('kind').value)
    && (!byId('state').value || row.state === byId('state').value) && (!byId('tag').value || row.tags.includes(byId('tag').value));
}

/** Give a select the values that there are, and leave its choice. */
function offer(id, values) {
  const select = byId(id);
  const chosen = select.value;
  const wanted = [...new Set(values)].filter(Boolean).sort();
  if ([...select.options].slice(1).map((one) => one.value).join('\n') === wanted.join('\n')) return;
  select.replaceChildren(select.options[0], ...wanted.map((value) => element('option', { value }, value)));
  select.value = wanted.includes(chosen) ? chosen : '';
}

function show() {
  const all = [...rows.values()];
  offer('kind', all.map((row) => row.kind));
  offer('state', all.map((row) => row.state));
  offer('tag', all.flatMap((row) => row.tags));
  const key = SORTS[sorted.key];
  const found = all.filter(fits).sort((a, b) => {
    const [one, other] = [key(a), key(b)];
    const order = one < other ? -1 : one > other ? 1 : a.path < b.path ? -1 : 1;
    return sorted.down ? -order : order;
  });
  const lines = found.map((row) => {
    if (!made.has(row.path)) made.set(row.path, makeRow(row));
    return made.get(row.path);
  });
  document.querySelector('#jobs tbody').replaceChildren(...lines);
  for (const button of document.querySelectorAll('[data-sort]')) {
    const head = button.closest('th');
    if (button.dataset.sort === sorted.key) head.setAttribute('aria-sort', sorted.down ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  }
  const count = `${found.length.toLocaleString('en')} of ${all.length.toLocaleString('en')}`;
  let text = `${found.length === all.length ? all.length.toLocaleString('en') : count} ${all.length === 1 ? 'result' : 'results'}`;
  if (!all.length) text = 'Nothing is here yet. What a command writes here appears by itself; begin with: emosim run --plugin movies';
  else if (!found.length) text = `${count}: nothing found. Clear the search or a filter.`;
  byId('found').textContent = text;
  showCompare();
}

function showCompare() {
  const link = byId('compare');
  const paths = [...ticked].filter((path) => rows.has(path));
  const ready = paths.length >= 2 && paths.length <= MOST;
  link.textContent = paths.length ? `Compare ${paths.length}` : 'Compare: tick two to ten';
  link.setAttribute('aria-disabled', String(!ready));
  if (ready) link.href = `/compare?${paths.map((path) => `d=${encodeURIComponent(path)}`).join('&')}`;
  else link.removeAttribute('href');
}

function take(changes) {
  for (const path of changes.gone) {
    rows.delete(path);
    made.delete(path);
    ticked.delete(path);
  }
  for (const row of changes.rows) {
    if (JSON.stringify(rows.get(row.path)) === JSON.stringify(row)) continue;
    rows.set(row.path, row);
    made.delete(row.path);
  }
  const focus = document.activeElement?.closest?.('tr')?.dataset.path;
  const inside = document.activeElement?.tagName;
  show();
  if (focus !== undefined && document.activeElement === document.body) made.get(focus)?.querySelector(inside)?.focus();
}

addEventListener('DOMContentLoaded', () => {
  const given = pageData().rows;
  if (given) take({ rows: given, gone: [] });
  else byId('found').textContent = 'Reading…';
  byId('filter').addEventListener('input', show);
  byId('filter').addEventListener('submit', (event) => event.preventDefault());
  byId('filter').addEventListener('reset', () => setTimeout(show));
  for (const button of document.querySelectorAll('[data-sort]')) {
    button.addEventListener('click', () => {
      const { sort } = button.dataset;
      sorted = { key: sort, down: sorted.key === sort ? !sorted.down : sort === 'created' };
      show();
    });
  }
  addEventListener('keydown', (event) => {
    if (event.key === '/' && !event.ctrlKey && !event.metaKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
      event.preventDefault();
      byId('q').focus();
    }
  });
  follow('/api/jobs/live', (changes) => {
    if (changes.root) location.replace('/job/');
    else take(changes);
  });
  document.documentElement.dataset.ready = 'yes';
});
