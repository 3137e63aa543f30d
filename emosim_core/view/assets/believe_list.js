// The list of believability tests, and the form that begins one.

addEventListener('DOMContentLoaded', () => {
  const given = pageData();
  const form = byId('begin');
  const fields = form.elements;
  const options = (select, values) => select.append(...values.map((value) => element('option', { value }, value)));
  options(fields.plugin, given.domains);
  options(fields.ratings, given.logs);
  options(fields.items, given.tables);
  const follow = () => {
    const folder = Boolean(fields.ratings.value) && !/\.(csv|parquet)$/.test(fields.ratings.value);
    byId('format-of').hidden = !folder;
    fields.format.required = folder;
    form.querySelector('.of-file').hidden = folder;
  };
  fields.ratings.addEventListener('change', follow);
  follow();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const message = byId('message');
    const button = form.querySelector('button');
    const folder = !byId('format-of').hidden;
    const text = (name) => fields[name].value;
    trouble('');
    button.disabled = true;
    message.textContent = 'The users are fitted and the pairs made. This can take minutes.';
    try {
      const made = await api('/api/believe/begin', {
        plugin: text('plugin'), ratings: text('ratings'), format: folder ? text('format').trim() : '', columns: folder ? '' : text('columns').trim(),
        items: text('items'), rater: text('rater'), max_users: Number(text('max_users')), history: Number(text('history')), seed: Number(text('seed')), name: text('name').trim(),
      });
      location.assign(`/believe/${made.path.split('/').map(encodeURIComponent).join('/')}`);
    } catch (error) {
      message.textContent = '';
      trouble(error.message);
    } finally {
      button.disabled = false;
    }
  });
  document.documentElement.dataset.ready = 'yes';
});
