// Elements, words and numbers, the clipboard, the dialog.

export const $ = (id) => document.getElementById(id);
export const main = $("main");

/** An element with attributes, properties that are functions, and children; strings become text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

export const say = (text) => { $("said").textContent = text; };
export const enc = encodeURIComponent;
export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export const size = (bytes) => {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
};

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    say("The browser allows no copying here. Select the text instead.");
  }
}

/** Asks in the dialog; true only for a yes. */
export function confirmed(title, text, yes) {
  const dialog = $("dialog");
  $("dialog-title").textContent = title;
  $("dialog-text").textContent = text;
  $("dialog-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export const clock = (time) => new Date(time).toLocaleTimeString("en-GB", { hour12: false });
export const moment = (time) => `${new Date(time).toLocaleDateString("en-CA")} ${clock(time)}`;
