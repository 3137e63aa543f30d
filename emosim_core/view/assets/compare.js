// A comparison of directories: metrics with differences and intervals, curves, and configurations side by side.

function jobLink(name) {
  return element('a', { href: `/job/${name.split('/').map(encodeURIComponent).join('/')}` }, name);
}

function cellOf(cell) {
  const place = element('td', {}, cell.value);
  if (cell.interval) place.append(element('small', {}, cell.interval));
  if (cell.difference) {
    const text = `${cell.difference.value}${cell.difference.interval ? ` [${cell.difference.interval}]` : ''}`;
    place.append(element('span', { class: cell.shown ? 'difference shown' : 'difference' }, text, cell.shown ? ' *' : ''));
  }
  return place;
}

function wide(title, head, body) {
  return element(
    'section', { class: 'card table broad comparison' }, element('h2', {}, title),
    element('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': title }, element('table', {}, element('thead', {}, head), element('tbody', {}, ...body))),
  );
}

function show(found) {
  byId('waiting').textContent = `${found.columns.length} directories on ${found.domain}.`;
  if (found.notes.length) byId('notes').append(element('ul', { class: 'notes', 'aria-label': 'Notes' }, ...found.notes.map((note) => element('li', {}, note))));
  const titles = found.columns.map((column, i) => element('th', { scope: 'col' }, jobLink(column.name), element('small', {}, i ? column.about : `${column.about}; the first`)));
  const metrics = found.rows.map((row) => element('tr', {}, element('th', { scope: 'row' }, row.name), ...row.cells.map(cellOf)));
  byId('metrics').append(wide('Side by side', element('tr', {}, element('th', { scope: 'col' }, 'metric'), ...titles), metrics));
  byId('method').textContent = `${found.method.replace('is marked', 'is marked with *')}`;
  for (const chart of found.charts) {
    const figure = figureOf(chart);
    byId('charts').append(figure);
    drawFigure(figure);
  }
  const heads = found.columns.map((column) => element('th', { scope: 'col' }, column.name));
  const options = found.differs.map((row) => element(
    'tr', {}, element('th', { scope: 'row' }, row.name), ...row.cells.map((cell, i) => element('td', cell === row.cells[0] || !i ? {} : { class: 'other' }, cell)),
  ));
  if (options.length) byId('differs').append(wide('What their configurations differ in', element('tr', {}, element('th', { scope: 'col' }, 'option'), ...heads), options));
  else byId('differs').append(element('p', {}, found.same));
}

addEventListener('DOMContentLoaded', async () => {
  const { paths } = pageData();
  if (paths.length) {
    try {
      show(await api(`/api/compare?${paths.map((path) => `d=${encodeURIComponent(path)}`).join('&')}`));
    } catch (error) {
      byId('waiting').textContent = error.message;
    }
  }
  document.documentElement.dataset.ready = 'yes';
});
