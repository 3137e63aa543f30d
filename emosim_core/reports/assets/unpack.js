// Unpacks the blocks of data that the page holds, and makes elements; texts of data become text, never markup.

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

/** An element with attributes and children; children that are no elements become text. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
