// Pictures: fetched when they come into view, four at a time, the last 300 kept.

import { first, TAG } from "./dicom.js";
import { ask, good, search } from "./service.js";
import { enc, h } from "./tools.js";

const pictures = new Map(); // path -> promise of an object URL
const waiting = [];
let drawing = 0;

export function picture(path, signal, wanted) {
  if (!pictures.has(path)) {
    const promise = queued(() => draw(path, signal), signal, wanted);
    promise.catch(() => pictures.delete(path));
    pictures.set(path, promise);
    if (pictures.size > 300) forget(pictures.keys().next().value);
  }
  return pictures.get(path);
}

async function draw(path, signal) {
  const response = await good(await ask(path, { accept: "image/jpeg", signal }));
  return URL.createObjectURL(await response.blob());
}

function forget(path) {
  pictures.get(path)?.then(URL.revokeObjectURL, () => {});
  pictures.delete(path);
}

export const forgetPictures = () => [...pictures.keys()].forEach(forget);

/** Does `work` when it is its turn, unless it is no longer wanted by then. */
function queued(work, signal, wanted = () => true) {
  return new Promise((resolve, reject) => {
    waiting.push({ work, signal, wanted, resolve, reject });
    next();
  });
}

function next() {
  while (drawing < 4 && waiting.length) {
    const { work, signal, wanted, resolve, reject } = waiting.shift();
    if (signal.aborted || !wanted()) {
      reject(new DOMException("not wanted any more", "AbortError"));
      continue;
    }
    drawing += 1;
    work().then(resolve, reject).finally(() => { drawing -= 1; next(); });
  }
}

const visible = new WeakSet();

const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) visible.add(target);
    else visible.delete(target);
    if (isIntersecting) target.dispatchEvent(new Event("inview"));
  }
}, { rootMargin: "200px" });

/** A small picture; `find` gives the path of the rendered instance, or nothing where there is no picture. */
export function thumbnail(find, placeholder, signal) {
  const box = h("span", { class: "thumb", "aria-hidden": "true" }, h("span", {}, placeholder));
  box.addEventListener("inview", async () => {
    try {
      const path = await find();
      if (path) {
        const image = h("img", { alt: "", loading: "lazy", decoding: "async" });
        image.src = await picture(path, signal, () => visible.has(box));
        box.replaceChildren(image);
      }
      inView.unobserve(box);
    } catch (error) {
      // The placeholder stays: for good, or until the box comes into view again.
      if (error.name !== "AbortError") inView.unobserve(box);
    }
  });
  inView.observe(box);
  return box;
}

export const covers = new Map(); // path of a study or series and its number of instances -> promise of a rendered path

/** The path of a picture for a study or a series: one of its newest instances that have one. */
export function cover(path, count, signal) {
  const key = `${count} ${path}`;
  if (!covers.has(key)) {
    const found = queued(() => search(`${path}/instances?limit=5&includefield=Rows`, signal), signal).then((rows) => {
      const row = rows.find((each) => first(each, TAG.Rows));
      return row && `${pathOf(row, path)}/rendered?quality=75`;
    });
    found.catch(() => covers.delete(key));
    covers.set(key, found);
  }
  return covers.get(key);
}

/** The path of an instance that a search below `path` has found. */
export function pathOf(row, path) {
  const series = path.includes("/series/") ? path : `${path}/series/${enc(first(row, TAG.SeriesInstanceUID))}`;
  return `${series}/instances/${enc(first(row, TAG.SOPInstanceUID))}`;
}
