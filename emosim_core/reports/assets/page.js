// Starts the page: the switch between light and dark, the charts, the episodes.

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
