// Starts the page: the switch between light and dark, the charts, the episodes.

function isDark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function setUpTheme() {
  const button = document.getElementById('theme');
  const name = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `${button.textContent} colours`);
  };
  button.hidden = false;
  name();
  button.addEventListener('click', () => {
    document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    name();
    redraw();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { name(); redraw(); });
}

async function start() {
  setUpTheme();
  try {
    await Promise.all([setUpCharts(), setUpEpisodes()]);
    document.documentElement.dataset.ready = 'yes';
  } catch (error) {
    const message = typeof DecompressionStream === 'undefined' ? 'This browser is too old to unpack the data of this page.' : `The data of this page cannot be read: ${error.message}`;
    document.querySelector('header').append(element('p', { class: 'note', role: 'alert' }, message));
    throw error;
  }
}

start();
