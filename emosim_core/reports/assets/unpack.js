// Unpacks the blocks of data that the page holds, Plotly among them.

/** The text of a packed block; rejects where the browser cannot unpack. */
async function unpackText(id) {
  const packed = atob(document.getElementById(`data-${id}`).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i += 1) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}

/** The value of a packed block. */
async function unpack(id) {
  return JSON.parse(await unpackText(id));
}

/** Plotly; the policy of the page knows its digest. */
async function loadPlotly() {
  const script = document.createElement('script');
  script.textContent = await unpackText('plotly');
  document.head.append(script);
  return window.Plotly;
}
