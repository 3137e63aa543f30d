// Shows the steps of an episode: what was recommended and retrieved, the ratings, the reasons, the mood.

let searched = '';

/** The words of a search; what stands between quotes is one. */
function wordsOf(text) {
  return [...text.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map((match) => match[1] ?? match[2]).filter((word) => word !== '"');
}

/** A text with the words of the search marked. */
function marked(text) {
  const words = wordsOf(searched);
  const holder = document.createDocumentFragment();
  const low = text.toLowerCase();
  if (!words.length || low.length !== text.length) return text;
  let at = 0;
  while (at < text.length) {
    let next = text.length;
    let length = 0;
    for (const word of words) {
      const place = low.indexOf(word, at);
      if (place >= 0 && (place < next || (place === next && word.length > length))) [next, length] = [place, word.length];
    }
    holder.append(text.slice(at, next));
    if (length) holder.append(element('mark', {}, text.slice(next, next + length)));
    at = next + length;
  }
  return holder;
}

function row(name, ...what) {
  return [element('dt', {}, name), element('dd', {}, ...what)];
}

function exchange(exchanges) {
  const titled = ([title, text]) => [element('strong', {}, title), element('pre', {}, text)];
  const parts = exchanges.flatMap(({ messages, answer, error }) => [
    ...messages.flatMap(titled),
    ...(answer === null ? [] : titled(['raw answer', answer])),
    ...(error ? titled([answer === null ? 'no answer' : 'cannot be used', error]) : []),
  ]);
  return element('details', {}, element('summary', {}, 'Prompt and raw answer'), ...parts);
}

/**
 * One recommended item of a step: its `title`; `raw_rating`, null where there is none; `rating`, null where it was not
 * consumed; `times`; `emotion`, such as 'positive, arousal high'; `looked`, 0 where the whole slate is rated, else 1 for
 * not examined, 2 for examined, 3 for clicked; `reason`; `retrieved`, pairs of a title and a rating; `shares` of labels
 * and `exchanges` with a model, where there are any.
 */
function recommendationOf(recommendation, endReason) {
  const taken = recommendation.rating !== null;
  const valence = taken ? recommendation.emotion.split(',')[0] : '';
  const rows = [];
  if (recommendation.retrieved.length) {
    rows.push(...row('retrieved', recommendation.retrieved.map(([title, rating]) => `${title} (${rating})`).join(', ')));
  }
  if (recommendation.raw_rating === null) {
    const why = { 1: 'none: did not look at it', 2: 'none: looked at it and did not click' }[recommendation.looked] ?? 'no rating: the rater failed';
    rows.push(...row('rating', endReason === 'was interrupted' ? 'nothing, something came in between' : why));
  } else if (!taken) {
    rows.push(...row('rating', `would rate it ${recommendation.raw_rating}, did not take it`));
  } else if (recommendation.rating !== recommendation.raw_rating) {
    rows.push(...row('rating', `${recommendation.raw_rating}, perturbed to ${recommendation.rating}`));
  }
  if (recommendation.reason) rows.push(...row('reason', marked(recommendation.reason)));
  if (recommendation.shares) {
    const shares = Object.entries(recommendation.shares).map(([label, share]) => `${label}: ${(100 * share).toFixed(0)}%`);
    rows.push(...row('probable', shares.join(', ')));
  }
  if (taken) rows.push(...row('emotion', recommendation.emotion));
  const title = element('span', { class: 'title' }, marked(recommendation.title), recommendation.times > 1 ? `, time number ${recommendation.times}` : '');
  const made = element(
    'div', { class: taken ? 'recommendation' : 'recommendation left' },
    element('span', { class: `badge ${valence}` }, String((taken ? recommendation.rating : recommendation.raw_rating) ?? '–')), title, element('dl', {}, ...rows),
  );
  if (recommendation.exchanges) made.append(exchange(recommendation.exchanges));
  return made;
}

/** A step: its `recommendations`, its `reward`, `mood`, valence and arousal after it, and how that `feels` in a word. */
function stepOf(step, number, endReason) {
  const after = `mood ${step.feels} (valence ${step.mood[0].toFixed(2)}, arousal ${step.mood[1].toFixed(2)}); reward ${step.reward}`;
  return element(
    'li', { class: 'step', 'aria-label': `Step ${number}` },
    element('span', { class: 'quiet' }, `Step ${number}`),
    ...step.recommendations.map((recommendation) => recommendationOf(recommendation, endReason)), element('p', { class: 'after' }, after),
  );
}

/** The chart of valence and arousal after each step. */
function moodFigure(steps) {
  const x = steps.map((_, i) => i + 1);
  const series = (name, y) => ({ name, x, y, low: [], high: [], counts: [] });
  return {
    kind: 'lines', x: 'step', y: 'mood after it', form: 'number', y_range: [-1.05, 1.05], names: [],
    series: [series('valence', steps.map((step) => step.mood[0])), series('arousal', steps.map((step) => step.mood[1]))],
  };
}
