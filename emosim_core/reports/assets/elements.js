// Makes elements; texts of data become text, never markup.

/** An element with attributes and children; children that are no elements become text. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
