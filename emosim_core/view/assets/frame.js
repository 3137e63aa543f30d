// The frame of a report: says when it is there. The report itself is a page of no origin, which this page cannot read.

addEventListener('DOMContentLoaded', () => {
  byId('report').addEventListener('load', () => { byId('waiting').hidden = true; });
});
