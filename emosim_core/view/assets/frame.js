// The frame of a report: says when it is there. The report itself is a page of no origin, which this page cannot read.

addEventListener('DOMContentLoaded', () => {
  const report = byId('report');
  report.addEventListener('load', () => { byId('waiting').hidden = true; });
  report.src = report.dataset.source; // only now: a report that is there at once would be loaded before anybody listens
  document.documentElement.dataset.ready = 'yes';
});
