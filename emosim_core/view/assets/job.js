// The page of a job: how far it has come while it runs, what came out, and the user's tags and note.

const job = pageData();
const liveFigures = new Map();

function tableOf(columns, lines, label) {
  return element('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': label }, table(columns, lines));
}

function episodeLink(number) {
  return element('a', { href: `/episodes/${job.path.split('/').map(encodeURIComponent).join('/')}#episode-${number}` }, String(number));
}

/** Show where a job that may be running is. */
function showLive(now) {
  byId('state').textContent = now.state;
  byId('state').className = `state-${now.state}`;
  byId('headline').textContent = now.headline;
  byId('why').hidden = !now.stopped && !now.trouble;
  byId('why').textContent = [now.stopped, now.trouble].filter(Boolean).join(' ');
  byId('resume').hidden = !now.resume;
  byId('resume').querySelector('code').textContent = now.resume;
  for (const one of document.querySelectorAll('[data-page]')) one.hidden = !now.pages[one.dataset.page];
  byId('later').textContent = now.later;
  byId('later').hidden = !now.later;
  const { progress } = now;
  byId('live').hidden = now.state === 'complete' || (!progress && !now.spending.length);
  byId('report').hidden = now.state !== 'complete';
  byId('live-title').textContent = now.state === 'running' ? 'Now' : 'So far';
  byId('bar').hidden = !progress?.total;
  if (progress) {
    const { done, total, unit } = progress;
    if (total) { byId('bar').max = total; byId('bar').value = done; }
    byId('progress').textContent = total ? `${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${unit}, ${Math.floor((100 * done) / total)}%` : `${done.toLocaleString('en')} ${unit} done`;
  }
  for (const chart of now.charts) {
    if (!liveFigures.has(chart.id)) {
      liveFigures.set(chart.id, figureOf(chart));
      byId('live-charts').append(liveFigures.get(chart.id));
    }
    drawFigure(liveFigures.get(chart.id), chart);
  }
  byId('spending').replaceChildren(...(now.spending.length ? [element('h3', {}, 'What the language model takes'), tableOf(['what', 'amount'], now.spending, 'Spending')] : []));
  const newest = now.newest.map((one) => [one.readable ? episodeLink(one.number) : String(one.number), one.user, String(one.steps), one.reward.toFixed(1), one.rating === null ? '–' : one.rating.toFixed(1), one.end]);
  byId('newest').replaceChildren(...(newest.length ? [element('h3', {}, 'Newest episodes'), tableOf(['episode', 'user', 'steps', 'reward', 'mean rating', 'end reason'], newest, 'Newest episodes')] : []));
  const parts = now.parts ?? [];
  byId('live-parts').replaceChildren(...(parts.length && !job.parts.length ? [tableOf(['part', 'state', 'headline'], parts, 'Parts')] : []));
}

function factOf(fact) {
  const value = element('dd', fact.value.length > 9 ? { class: 'long' } : {}, fact.value);
  if (fact.aside) value.append(element('small', {}, fact.aside));
  return element('div', {}, element('dt', {}, fact.name), value);
}

function tableCard(one) {
  const wide = one.columns.length > 3 ? ' broad' : '';
  const dense = one.columns.length > 6 ? ' dense' : '';
  const card = element('div', { class: `card table${wide}${dense}` }, element('h3', {}, one.title));
  if (one.caption) card.append(element('p', {}, one.caption));
  card.append(tableOf(one.columns, one.rows, one.title));
  return card;
}

/** Show what the report of a job says; charts are drawn when they come into view. */
function showReport(report) {
  byId('reading').hidden = true;
  byId('headline').textContent = report.headline;
  const facts = byId('facts');
  facts.replaceChildren();
  if (report.notes.length) facts.append(element('ul', { class: 'notes', 'aria-label': 'Notes' }, ...report.notes.map((note) => element('li', {}, note))));
  if (report.facts.length) facts.append(element('dl', { class: 'facts' }, ...report.facts.map(factOf)));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      drawFigure(entry.target);
    }
  }, { rootMargin: '300px' });
  byId('sections').replaceChildren(...report.sections.map((section) => {
    const figures = section.charts.map(figureOf);
    figures.forEach((figure) => seen.observe(figure));
    const grid = element('div', { class: 'grid' }, ...figures, ...section.tables.map(tableCard));
    const inside = [...(section.caption ? [element('p', {}, section.caption)] : []), grid];
    const shut = element('details', { class: 'part' }, element('summary', {}, element('h3', {}, section.title)), ...inside);
    shut.open = section.id !== 'setup';
    return shut;
  }));
}

/** Show the report, and until it is there the summary: all records of a large run take a while to read. */
async function readReport() {
  const slow = setTimeout(() => {
    if (!job.summary) return;
    byId('reading').textContent = 'All records are being read, for charts and intervals. A million episodes take about a minute.';
    byId('facts').replaceChildren(tableCard({ title: 'Summary', caption: '', columns: ['what', 'value'], rows: job.summary }));
  }, 1500);
  try {
    showReport(await api(`/api/report?path=${encodeURIComponent(job.path)}`));
  } catch (error) {
    byId('reading').textContent = error.message;
  } finally {
    clearTimeout(slow);
  }
}

async function save(event) {
  event.preventDefault();
  byId('saved').textContent = '';
  try {
    const tags = byId('tags').value.split(',');
    const stored = await api('/api/remark', { path: job.path, tags, note: byId('note').value });
    byId('tags').value = stored.tags.join(', ');
    byId('saved').textContent = 'Saved.';
  } catch (error) {
    byId('saved').textContent = error.message;
  }
}

addEventListener('DOMContentLoaded', () => {
  const time = document.querySelector('time');
  const date = new Date(job.created);
  time.textContent = Number.isNaN(date.getTime()) ? '' : date.toLocaleString('sv').slice(0, 16);
  byId('remark').addEventListener('submit', save);
  byId('copy').addEventListener('click', async () => {
    await navigator.clipboard.writeText(byId('resume').querySelector('code').textContent);
    byId('copy').textContent = 'Copied';
  });
  let complete = job.state === 'complete';
  if (complete) readReport();
  byId('report').hidden = !complete;
  if (!complete) {
    follow(`/api/live?path=${encodeURIComponent(job.path)}`, (now) => {
      showLive(now);
      if (now.state === 'complete' && !complete) {
        complete = true;
        job.summary = now.summary;
        readReport();
      }
    });
  }
  document.documentElement.dataset.ready = 'yes';
});
