// Lists, searches and filters episodes, and shows the chosen one. Only visible rows are elements.

const ROW = 64;
const BEYOND = 6;
const PART = 100;
const KEPT_BLOCKS = 6;

let index = null;
let found = [];
let chosen = -1;
let opened = -1;
let haystacks = null;
const blocks = new Map();

const byId = (id) => document.getElementById(id);

/** A block of episodes; the last few are cached. */
async function blockOf(number) {
  if (!blocks.has(number)) {
    blocks.set(number, await unpack(`block-${number}`));
    if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  }
  return blocks.get(number);
}

/** The steps of the episodes of a block, from its columns. */
function* episodesOf(block) {
  let step = 0;
  let place = 0;
  let past = 0;
  for (const count of block.steps) {
    const steps = [];
    for (const last = step + count; step < last; step += 1) {
      const recommendations = [];
      for (const end = place + block.places[step]; place < end; place += 1) {
        const retrieved = [];
        for (const until = past + block.retrieved[place]; past < until; past += 1) {
          retrieved.push([index.items[block.past[past]], block.pastRating[past]]);
        }
        recommendations.push({
          title: index.items[block.item[place]], raw_rating: block.raw_rating[place], rating: block.rating[place], times: block.times[place],
          emotion: index.tags[block.tags[place]], looked: block.looked[place], reason: block.reason[place], retrieved, shares: block.shares[place], exchanges: block.exchanges[place],
        });
      }
      steps.push({ recommendations, reward: block.reward[step], mood: [block.mood[2 * step], block.mood[2 * step + 1]], feels: index.moods[block.feels[step]] });
    }
    yield steps;
  }
}

/** What a search looks through, one text per episode; made at the first search. */
async function prepareSearch() {
  if (haystacks) return;
  const made = new Array(index.number.length);
  const inBlock = new Map();
  index.block.forEach((block, i) => inBlock.set(`${block}/${index.place[i]}`, i));
  const count = Math.max(...index.block) + 1;
  for (let number = 0; number < count; number += 1) {
    byId('found').textContent = `Reading all episodes: ${Math.round((100 * number) / count)}%`;
    let place = 0;
    for (const steps of episodesOf(await unpack(`block-${number}`))) {
      const i = inBlock.get(`${number}/${place}`);
      const user = index.users[index.user[i]];
      const texts = [user.id, ...user.lines, index.end_reasons[index.end_reason[i]]];
      for (const step of steps) for (const recommendation of step.recommendations) texts.push(recommendation.title, recommendation.reason);
      made[i] = texts.join('\n').toLowerCase();
      place += 1;
    }
  }
  haystacks = made;
}

const ORDERS = {
  number: (a, b) => index.number[a] - index.number[b],
  best: (a, b) => (index.mean[b] ?? -Infinity) - (index.mean[a] ?? -Infinity),
  worst: (a, b) => (index.mean[a] ?? Infinity) - (index.mean[b] ?? Infinity),
  longest: (a, b) => index.steps[b] - index.steps[a],
  shortest: (a, b) => index.steps[a] - index.steps[b],
};

let latest = 0;

/** Find the episodes that match the filters. */
async function find() {
  latest += 1;
  const mine = latest;
  searched = byId('text').value.trim();
  const words = wordsOf(searched);
  if (words.length) await prepareSearch();
  if (mine !== latest) return;
  const user = byId('user').value.trim().toLowerCase();
  const endReason = byId('end_reason').value;
  const from = byId('from').value === '' ? null : Number(byId('from').value);
  const to = byId('to').value === '' ? null : Number(byId('to').value);
  const fits = (i) => {
    const who = index.users[index.user[i]];
    const mean = index.mean[i];
    return (!user || who.name.toLowerCase().includes(user) || who.id.toLowerCase() === user)
      && (endReason === '' || index.end_reason[i] === Number(endReason))
      && (from === null || (mean !== null && mean >= from)) && (to === null || (mean !== null && mean <= to))
      && words.every((word) => haystacks[i].includes(word));
  };
  found = index.number.map((_, i) => i).filter(fits).sort((a, b) => ORDERS[byId('order').value](a, b) || a - b);
  const count = `${found.length.toLocaleString('en')} of ${index.number.length.toLocaleString('en')} episodes`;
  byId('found').textContent = found.length ? count : `${count}: nothing found. Clear the search or a filter.`;
  chosen = found.indexOf(opened);
  byId('list').scrollTop = 0;
  list();
}

/** Make the rows that are seen, and a few around them. */
function list() {
  const holder = byId('list');
  const space = byId('space');
  space.style.height = `${found.length * ROW}px`;
  const first = Math.max(0, Math.floor(holder.scrollTop / ROW) - BEYOND);
  const last = Math.min(found.length, Math.ceil((holder.scrollTop + holder.clientHeight) / ROW) + BEYOND);
  const rows = [];
  for (let k = first; k < last; k += 1) {
    const i = found[k];
    const row = element(
      'div',
      { class: 'episode', role: 'option', id: `row-${k}`, 'aria-selected': String(k === chosen), 'aria-setsize': found.length, 'aria-posinset': k + 1 },
      element('span', { class: 'name' }, index.users[index.user[i]].name),
      element('span', { class: 'badge' }, index.mean[i] === null ? '–' : index.mean[i].toFixed(1)),
      element('span', { class: 'about' }, `${index.number[i]} · ${index.steps[i]} ${index.steps[i] === 1 ? 'step' : 'steps'} · ${index.end_reasons[index.end_reason[i]]}`),
    );
    row.style.top = `${k * ROW}px`;
    row.addEventListener('click', () => { choose(k); open(); });
    rows.push(row);
  }
  space.replaceChildren(...rows);
  if (chosen >= first && chosen < last) holder.setAttribute('aria-activedescendant', `row-${chosen}`);
  else holder.removeAttribute('aria-activedescendant');
}

/** Choose a row, and bring it into view. */
function choose(k) {
  if (!found.length) return;
  chosen = Math.max(0, Math.min(found.length - 1, k));
  const holder = byId('list');
  if (chosen * ROW < holder.scrollTop) holder.scrollTop = chosen * ROW;
  if ((chosen + 1) * ROW > holder.scrollTop + holder.clientHeight) holder.scrollTop = (chosen + 1) * ROW - holder.clientHeight;
  list();
}

/** Show the chosen episode. One that was not requested takes neither the focus nor the address. */
async function open(unasked = false) {
  if (chosen < 0) return;
  const i = found[chosen];
  const block = await blockOf(index.block[i]);
  if (found[chosen] !== i) return;
  let steps = [];
  let place = 0;
  for (const episode of episodesOf(block)) {
    if (place === index.place[i]) { steps = episode; break; }
    place += 1;
  }
  steps = steps.filter((step) => step.recommendations.length);
  opened = i;
  const user = index.users[index.user[i]];
  const endReason = index.end_reasons[index.end_reason[i]];
  const [first, ...about] = user.lines;
  const story = byId('story');
  const items = element('ol', { class: 'steps' });
  const more = element('button', { type: 'button' }, 'Show more steps');
  const tell = () => {
    const shown = items.childElementCount;
    items.append(...steps.slice(shown, shown + PART).map((step, k) => stepOf(step, shown + k + 1, endReason)));
    more.hidden = items.childElementCount >= steps.length;
  };
  more.addEventListener('click', tell);
  const turn = (name, by) => {
    const button = element('button', { type: 'button' }, name);
    button.disabled = chosen + by < 0 || chosen + by >= found.length;
    button.addEventListener('click', () => { choose(chosen + by); open(); });
    return button;
  };
  const plot = element('div', { class: 'plot', role: 'img', 'aria-label': 'Valence and arousal after each step; the numbers stand at each step below.' });
  story.replaceChildren(
    element('h3', { id: 'story-title' }, `Episode ${index.number[i]}: `, marked(first)),
    element('div', { class: 'turn' }, turn('Previous', -1), turn('Next', 1)),
    ...about.map((line) => element('p', {}, marked(line))),
    element('p', {}, element('strong', {}, `${steps.length} ${steps.length === 1 ? 'step' : 'steps'}; ${endReason}. Total reward ${index.reward[i]}.`)),
    plot, items, more,
  );
  tell();
  story.scrollTop = 0;
  if (steps.length) draw(plot, moodFigure(steps));
  if (unasked) return;
  story.focus({ preventScroll: true });
  if (matchMedia('(max-width: 52rem)').matches) story.scrollIntoView();
  history.replaceState(null, '', `#episode-${index.number[i]}`);
}

const KEYS = {
  ArrowDown: () => choose(chosen + 1),
  ArrowUp: () => choose(chosen - 1),
  PageDown: () => choose(chosen + Math.floor(byId('list').clientHeight / ROW)),
  PageUp: () => choose(chosen - Math.floor(byId('list').clientHeight / ROW)),
  Home: () => choose(0),
  End: () => choose(found.length - 1),
  Enter: () => open(),
  ' ': () => open(),
};

/** Open the episode that the address names. */
async function follow() {
  const match = /^#episode-(\d+)$/.exec(location.hash);
  if (!match) return;
  const wanted = () => found.findIndex((i) => index.number[i] === Number(match[1]));
  if (wanted() < 0) {
    byId('filters').reset();
    await find();
  }
  if (wanted() < 0) return;
  choose(wanted());
  byId('episodes').scrollIntoView();
  await open();
}

/** Set the list, the filters and the keys up. */
async function setUpEpisodes() {
  if (!byId('data-index')) return;
  index = await unpack('index');
  index.end_reasons.forEach((name, i) => byId('end_reason').append(element('option', { value: i }, name)));
  byId('user').addEventListener('focus', () => {
    if (byId('users').childElementCount) return;
    const names = [...new Set(index.users.map((user) => user.name))].sort();
    byId('users').append(...names.map((name) => element('option', { value: name })));
  });
  let waiting = 0;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(find, 150); };
  byId('filters').addEventListener('input', soon);
  byId('filters').addEventListener('submit', (event) => { event.preventDefault(); find(); });
  byId('filters').addEventListener('reset', () => setTimeout(find));
  const holder = byId('list');
  let framed = false;
  holder.addEventListener('scroll', () => {
    if (framed) return;
    framed = true;
    requestAnimationFrame(() => { framed = false; list(); });
  });
  holder.addEventListener('keydown', (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  byId('story').addEventListener('keydown', (event) => { if (event.key === 'Escape') holder.focus(); });
  new ResizeObserver(list).observe(holder);
  await find();
  await follow();
  if (opened < 0) {
    choose(0);
    await open(true);
  }
  addEventListener('hashchange', follow);
}
