// The episodes of a run, a page at a time from the server, and the chosen one as a story.

const run = pageData();
const STEPS = 100;
let offset = 0;
let latest = 0;
let shown = [];
let opened = -1;

function asked() {
  const query = new URLSearchParams({ path: run.path, offset: String(offset) });
  const fields = { q: 'text', user: 'user', end: 'end_reason', from: 'from', to: 'to', order: 'order' };
  for (const [name, id] of Object.entries(fields)) if (byId(id).value) query.set(name, byId(id).value);
  if (byId('reasons').checked) query.set('reasons', '1');
  return query;
}

function rowOf(one) {
  const button = element(
    'button', { type: 'button', class: 'row' }, element('span', { class: 'name' }, one.user),
    element('span', { class: 'badge' }, one.rating === null ? '–' : one.rating.toFixed(1)),
    element('span', { class: 'about' }, `${one.number} · ${one.steps} ${one.steps === 1 ? 'step' : 'steps'} · ${one.end}`),
  );
  button.dataset.number = one.number;
  button.addEventListener('click', () => open(one.number));
  return element('li', {}, button);
}

function mark() {
  for (const button of document.querySelectorAll('.picks .row')) {
    if (Number(button.dataset.number) === opened) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

/** Ask the server for the page of episodes that is wanted, again and again until it has found enough of them. */
async function find() {
  latest += 1;
  const mine = latest;
  searched = byId('text').value.trim();
  const query = asked();
  for (;;) {
    let answer;
    try {
      answer = await api(`/api/episodes?${query}`);
    } catch (error) {
      if (mine === latest) byId('found').textContent = error.message;
      return;
    }
    if (mine !== latest) return;
    const ordered = byId('order').value !== 'number';
    const enough = answer.done || (!ordered && answer.found >= offset + run.page);
    shown = answer.episodes;
    byId('rows').replaceChildren(...shown.map(rowOf));
    mark();
    const place = shown.length ? `${(offset + 1).toLocaleString('en')} to ${(offset + shown.length).toLocaleString('en')} of ` : '';
    const count = `${answer.found.toLocaleString('en')}${answer.done ? '' : ' or more'}`;
    let text = `${place}${count} found; ${answer.seen.toLocaleString('en')} of ${answer.total.toLocaleString('en')} episodes searched`;
    if (answer.done && !answer.found) text += ': nothing found. Clear the search or a filter.';
    byId('found').textContent = enough ? text : `${text} …`;
    byId('before').disabled = offset === 0;
    byId('after').disabled = answer.done && offset + run.page >= answer.found;
    if (enough) {
      document.documentElement.dataset.found = String(mine);
      if (opened < 0 && shown.length && !location.hash) open(shown[0].number, true);
      return;
    }
  }
}

function storyOf(story) {
  const [first, ...about] = story.lines;
  const items = element('ol', { class: 'steps' });
  const more = element('button', { type: 'button' }, 'Show more steps');
  const tell = () => {
    const count = items.childElementCount;
    items.append(...story.steps.slice(count, count + STEPS).map((step, k) => stepOf(step, count + k + 1, story.end)));
    more.hidden = items.childElementCount >= story.steps.length;
  };
  more.addEventListener('click', tell);
  const turn = (name, by) => {
    const at = shown.findIndex((one) => one.number === story.number);
    const button = element('button', { type: 'button' }, name);
    button.disabled = at < 0 || !shown[at + by];
    button.addEventListener('click', () => open(shown[at + by].number));
    return button;
  };
  const plot = element('div', { class: 'plot', role: 'img', 'aria-label': 'Valence and arousal after each step; the numbers stand at each step below.' });
  byId('story').replaceChildren(
    element('h2', { id: 'story-title' }, `Episode ${story.number}: `, marked(first)),
    element('div', { class: 'turn' }, turn('Previous', -1), turn('Next', 1)),
    ...about.map((line) => element('p', {}, marked(line))),
    element('p', {}, element('strong', {}, `${story.steps.length} ${story.steps.length === 1 ? 'step' : 'steps'}; ${story.end}. Total reward ${story.reward}.`)),
    ...(story.prompts_elsewhere ? [element('p', { class: 'note' }, 'The transcript is large, so prompts are on the page of prompts and answers.')] : []),
    plot, items, more,
  );
  tell();
  byId('story').scrollTop = 0;
  if (story.steps.length) draw(plot, moodFigure(story.steps));
}

/** Show an episode. One that was not requested takes neither the focus nor the address. */
async function open(number, unasked = false) {
  opened = number;
  mark();
  try {
    const story = await api(`/api/story?path=${encodeURIComponent(run.path)}&episode=${number}`);
    if (opened !== number) return;
    storyOf(story);
  } catch (error) {
    byId('story').replaceChildren(element('p', { class: 'note' }, error.message));
  }
  if (unasked) return;
  history.replaceState(null, '', `#episode-${number}`);
  byId('story').focus({ preventScroll: true });
  if (matchMedia('(max-width: 52rem)').matches) byId('story').scrollIntoView();
}

function followAddress() {
  const match = /^#episode-(\d+)$/.exec(location.hash);
  if (match && Number(match[1]) !== opened) open(Number(match[1]), true);
}

addEventListener('DOMContentLoaded', async () => {
  let waiting = 0;
  const again = () => { offset = 0; find(); };
  byId('filters').addEventListener('input', (event) => {
    if (event.target.id === 'number') return;
    clearTimeout(waiting);
    waiting = setTimeout(again, 200);
  });
  byId('filters').addEventListener('submit', (event) => { event.preventDefault(); again(); });
  byId('filters').addEventListener('reset', () => setTimeout(again));
  byId('number').addEventListener('change', () => { if (byId('number').value !== '') open(Number(byId('number').value)); });
  byId('before').addEventListener('click', () => { offset = Math.max(0, offset - run.page); find(); });
  byId('after').addEventListener('click', () => { offset += run.page; find(); });
  byId('rows').addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = [...byId('rows').querySelectorAll('.row')];
    buttons[buttons.indexOf(document.activeElement) + by]?.focus();
  });
  byId('story').addEventListener('keydown', (event) => {
    if (event.key === 'Escape') (byId('rows').querySelector('[aria-current]') ?? byId('rows').querySelector('.row'))?.focus();
  });
  addEventListener('hashchange', followAddress);
  followAddress();
  await find();
  document.documentElement.dataset.ready = 'yes';
});
