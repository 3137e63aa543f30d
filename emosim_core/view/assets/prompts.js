// Prompts and raw answers of a run, a page at a time from the server.

const run = pageData();
let offset = 0;
let latest = 0;

function exchangeCard(one) {
  const tokens = Object.entries(one.usage).map(([name, count]) => `${count.toLocaleString('en')} ${name.replaceAll('_', ' ')}`).join(', ');
  const link = element('a', { href: `/episodes/${run.path.split('/').map(encodeURIComponent).join('/')}#episode-${one.episode}` }, `Episode ${one.episode}, step ${one.step}`);
  const card = element(
    'li', { class: 'card recommendation' },
    element('span', { class: 'title' }, link, `: ${one.item}`),
    element('p', { class: 'quiet' }, [one.user, one.cached ? 'no call: the answer was cached or shared' : 'a call', tokens].filter(Boolean).join('; ')),
    element('p', {}, element('strong', {}, one.answer === null ? 'No answer' : 'Answer: '), marked(one.answer ?? '')),
  );
  if (one.error) card.append(element('p', { class: 'note' }, one.error));
  card.append(exchange([one]));
  return card;
}

async function find() {
  latest += 1;
  const mine = latest;
  searched = byId('text').value.trim();
  const query = new URLSearchParams({ path: run.path, offset: String(offset), q: byId('text').value, failed: byId('failed').checked ? '1' : '0' });
  for (;;) {
    let answer;
    try {
      answer = await api(`/api/prompts?${query}`);
    } catch (error) {
      if (mine === latest) byId('found').textContent = error.message;
      return;
    }
    if (mine !== latest) return;
    const enough = answer.done || answer.found >= offset + run.page;
    byId('rows').replaceChildren(...answer.exchanges.map(exchangeCard));
    byId('found').textContent = `${answer.found.toLocaleString('en')}${answer.done ? '' : ' or more'} found, ${answer.seen.toLocaleString('en')} read${enough ? '' : ' …'}`;
    byId('before').disabled = offset === 0;
    byId('after').disabled = answer.done && offset + run.page >= answer.found;
    if (enough) return;
  }
}

addEventListener('DOMContentLoaded', async () => {
  let waiting = 0;
  const again = () => { offset = 0; find(); };
  byId('filters').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(again, 200); });
  byId('filters').addEventListener('submit', (event) => { event.preventDefault(); again(); });
  byId('filters').addEventListener('reset', () => setTimeout(again));
  byId('before').addEventListener('click', () => { offset = Math.max(0, offset - run.page); find(); });
  byId('after').addEventListener('click', () => { offset += run.page; find(); });
  await find();
  document.documentElement.dataset.ready = 'yes';
});
