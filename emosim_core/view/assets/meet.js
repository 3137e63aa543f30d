// Meet a user: a world and a user are chosen, slates offered, steps shown, taken back, and saved as a run.

const given = pageData();
let world = null;
let meeting = null;
let state = null;
let chosen = [];
let busy = false;

const options = (select, rows) => select.append(...rows.map(([value, text]) => element('option', { value }, text)));

/** Do something that calls the server: one thing at a time, and what goes wrong is said. */
async function doing(what, act) {
  if (busy) return;
  busy = true;
  byId('happened').textContent = what;
  document.body.setAttribute('aria-busy', 'true');
  trouble('');
  show();
  try {
    await act();
  } catch (error) {
    trouble(error.message);
    byId('happened').textContent = '';
  } finally {
    busy = false;
    document.body.removeAttribute('aria-busy');
    show();
  }
}

/** Calls `act` when nothing more has been typed for a moment. */
function whenTyped(field, act) {
  let timer;
  field.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(act, 150); });
}

function choiceOf(text, about, act) {
  const button = element('button', { type: 'button' }, text, ...(about ? [element('small', {}, about)] : []));
  button.addEventListener('click', act);
  return element('li', {}, button);
}

// ---------------------------------------------------------------------------------------------- the world

function setUpForm() {
  const form = byId('world');
  options(form.like, given.like.map((one) => [one.path, `${one.path} (${one.about})`]));
  options(form.plugin, given.domains.map((one) => [one.name, one.title]));
  options(form.users, [...given.fitted.map((one) => [one.path, `${one.path} (${one.about})`]), ...given.tables.map((path) => [path, path])]);
  options(form.items, given.tables.map((path) => [path, path]));
  options(form.choice, given.choices.map((name) => [name, name]));
  const follow = () => { for (const one of form.querySelectorAll('.new')) one.hidden = Boolean(form.like.value); };
  form.like.addEventListener('change', follow);
  const wanted = new URLSearchParams(location.search).get('like');
  if (wanted !== null && given.like.some((one) => one.path === wanted)) form.like.value = wanted;
  follow();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const number = (field) => (field.value === '' ? null : Number(field.value));
    const said = { like: form.like.value, plugin: form.plugin.value, users: form.users.value, items: form.items.value, llm_model: form.llm_model.value.trim(), max_cost: number(form.max_cost), choice: form.choice.value, slate: number(form.slate) };
    doing('Loading items and users.', async () => {
      world = await api('/api/meet/world', said);
      showWorld();
      await findUsers();
      byId('happened').textContent = '';
      byId('user-search').focus();
    });
  });
}

function showWorld() {
  const price = world.uses_llm ? ` It is asked for every rating; what its answers cost is shown beside the user, and cached answers cost nothing.` : '';
  byId('about-world').textContent = `${world.title}: ${world.users.toLocaleString('en')} users, ${world.items.toLocaleString('en')} ${world.words.items}. Slate of ${world.slate}, choice model ${world.choice}. Rater: ${world.answered_by}.${price}`;
  byId('world-notes').replaceChildren(...world.notes.map((note) => element('li', {}, note)));
  byId('world-notes').hidden = !world.notes.length;
  byId('who').hidden = false;
}

async function findUsers() {
  const answer = await api(`/api/meet/world/${world.world}/users?search=${encodeURIComponent(byId('user-search').value)}`);
  byId('users-found').textContent = `${answer.found.length} of ${answer.count.toLocaleString('en')} users`;
  byId('users').replaceChildren(...answer.found.map((one) => choiceOf(one.about, `id ${one.id}`, () => begin(one.id))));
}

// -------------------------------------------------------------------------------------------- the meeting

function begin(user) {
  doing('Meeting.', async () => {
    take(await api('/api/meet/begin', { world: world.world, user, seed: Number(byId('seed').value) }));
    location.hash = state.meeting;
    await findItems();
    byId('happened').textContent = `You meet ${state.user.name}.`;
    byId('user-name').focus();
  });
}

/** Show what the server says of the meeting. */
function take(answer) {
  state = { ...state, ...answer };
  meeting = state.meeting;
}

function show() {
  for (const id of ['meeting', 'history']) byId(id).hidden = state === null;
  byId('setup').hidden = state !== null;
  for (const button of document.querySelectorAll('main button')) button.disabled = busy;
  if (state === null) return;
  byId('user-name').textContent = state.user.name;
  byId('user-lines').replaceChildren(...state.user.lines.map((line) => element('p', {}, line)));
  byId('mood').textContent = state.mood;
  byId('memory-count').textContent = state.memories.length ? `${state.memories.length} ${state.memories.length === 1 ? world.words.item : world.words.items}` : 'nothing yet';
  byId('memories').replaceChildren(...state.memories.map((one) => element('li', {}, `${one.title} (${one.rating})`)));
  byId('rater').textContent = `Rater: ${world.answered_by}.`;
  byId('spent').hidden = state.spent === null;
  byId('spent').textContent = state.spent === null ? '' : `The language model so far: ${state.spent}.`;
  if (byId('policy').options.length === 0) options(byId('policy'), state.policies.map((name) => [name, name]));
  showSlate();
  const over = state.end !== null;
  byId('offering').hidden = over;
  byId('end').hidden = !over;
  byId('end').textContent = over ? `${state.end} Go back, save the meeting, or meet another user.` : '';
  byId('back').disabled = busy || !state.steps.length;
  byId('save').disabled = busy || !state.steps.length;
  if (!byId('run-name').value) byId('run-name').value = state.name;
  byId('nothing').hidden = state.steps.length > 0;
  showSteps();
}

function showSlate() {
  byId('slate').replaceChildren(...chosen.map((one, place) => {
    const gone = element('button', { type: 'button', 'aria-label': `Take ${one.title} out` }, '×');
    gone.addEventListener('click', () => { chosen.splice(place, 1); show(); byId('item-search').focus(); });
    return element('li', {}, one.title, gone);
  }));
  const missing = state.slate - chosen.length;
  byId('slate-says').textContent = missing > 0 ? `${missing} more of ${state.slate}: choose below, or let a policy fill the slate.` : 'The slate is full.';
  byId('offer').disabled = busy || missing !== 0;
}

/** The latest first; an open prompt stays open. */
function showSteps() {
  const place = byId('steps');
  if (place.children.length === state.steps.length && place.dataset.last === JSON.stringify(state.steps.at(-1))) {
    for (const button of place.querySelectorAll('button')) button.disabled = busy;
    return;
  }
  place.dataset.last = JSON.stringify(state.steps.at(-1));
  const shown = state.steps.map((step, number) => {
    const made = stepOf(step, number + 1, number === state.steps.length - 1 ? state.end ?? '' : '');
    if (number < state.steps.length - 1) {
      const again = element('button', { type: 'button', class: 'again', 'aria-label': `Back to after step ${number + 1}` }, 'Back to here');
      again.addEventListener('click', () => back(number + 1));
      made.prepend(again);
    }
    return made;
  });
  place.replaceChildren(...shown.reverse());
}

let itemSearches = 0;

/** Search the catalog, and show what is found, of several searches that of the last. Returns the first item found. */
async function findItems() {
  itemSearches += 1;
  const mine = itemSearches;
  const answer = await api(`/api/meet/world/${world.world}/items?search=${encodeURIComponent(byId('item-search').value)}`);
  if (mine === itemSearches) {
    byId('items-found').textContent = `${answer.found.length} of ${answer.count.toLocaleString('en')} ${world.words.items}`;
    byId('items').replaceChildren(...answer.found.map((one) => choiceOf(one.title, one.about, () => add(one))));
  }
  return answer.found[0] ?? null;
}

/** Put an item on the slate; on a full one it takes the last place. */
function add(item) {
  if (chosen.some((one) => one.id === item.id)) return;
  if (chosen.length >= state.slate) chosen.pop();
  chosen.push(item);
  byId('happened').textContent = `${item.title} is on the slate, ${chosen.length} of ${state.slate}.`;
  show();
}

function offer() {
  doing('Offered.', async () => {
    take(await api(`/api/meet/${meeting}/offer`, { items: chosen.map((one) => one.id) }));
    chosen = [];
    byId('saved').textContent = '';
    byId('happened').textContent = state.steps.at(-1).said;
  });
}

function back(steps) {
  doing('Going back.', async () => {
    take(await api(`/api/meet/${meeting}/rewind`, { steps }));
    byId('saved').textContent = '';
    byId('happened').textContent = steps ? `Back to after step ${steps}.` : 'Back to the beginning.';
  });
}

function setUpMeeting() {
  byId('suggest').addEventListener('click', () => doing('Asking the policy.', async () => {
    const policy = byId('policy').value;
    chosen = (await api(`/api/meet/${meeting}/suggest`, { policy })).items;
    byId('happened').textContent = `${policy} recommends ${chosen.map((one) => one.title).join(', ')}.`;
  }));
  byId('offer').addEventListener('click', offer);
  byId('back').addEventListener('click', () => back(state.steps.length - 1));
  byId('save').addEventListener('click', () => doing('Saving.', async () => {
    const { path } = await api(`/api/meet/${meeting}/save`, { name: byId('run-name').value.trim() });
    const link = element('a', { href: `/job/${encodeURIComponent(path)}` }, path);
    byId('saved').replaceChildren('Saved as ', link, '. In a shell: ', element('code', {}, `emosim show ${path} --episode 0`));
    byId('happened').textContent = `Saved as ${path}.`;
  }));
  byId('another').addEventListener('click', () => {
    state = null;
    meeting = null;
    chosen = [];
    byId('run-name').value = '';
    byId('saved').textContent = '';
    byId('steps').replaceChildren();
    byId('policy').replaceChildren();
    history.replaceState(null, '', location.pathname + location.search);
    show();
    if (world) { showWorld(); findUsers().catch((error) => trouble(error.message)); byId('user-search').focus(); }
  });
  const findAll = () => findItems().catch((error) => trouble(error.message));
  whenTyped(byId('item-search'), findAll);
  whenTyped(byId('user-search'), () => findUsers().catch((error) => trouble(error.message)));
  byId('item-search').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    if ((event.ctrlKey || event.metaKey) && !byId('offer').disabled) offer();
    else findItems().then((item) => item && add(item)).catch((error) => trouble(error.message));
  });
}

addEventListener('DOMContentLoaded', async () => {
  setUpForm();
  setUpMeeting();
  show();
  if (location.hash.length > 1) {
    await doing('', async () => {
      const number = location.hash.slice(1);
      const answer = await api(`/api/meet/${encodeURIComponent(number)}`);
      world = answer.world;
      take({ ...answer, meeting: number });
      await findItems();
    });
  }
  document.documentElement.dataset.ready = 'yes';
});
