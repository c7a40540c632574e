// The page's elements. Text only ever becomes text: nothing here reads HTML.

export const byId = (id) => document.getElementById(id);

/** An element with properties, attributes where a name has a dash, and children. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
}

/** Calls a function once things have been quiet for so long, unless that is called off. */
export function quietly(milliseconds, call) {
  let timer;
  const callOff = () => clearTimeout(timer);
  const soon = () => {
    callOff();
    timer = setTimeout(call, milliseconds);
  };
  return { soon, callOff };
}
