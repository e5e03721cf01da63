// One instance: its picture, frame by frame, and its metadata as a tree.

import { first, own, person, TAG, tagText, textOf } from "./dicom.js";
import { picture } from "./pictures.js";
import { h, plural, say } from "./tools.js";

/** The picture, and a slider where there are several frames. */
export function viewer(path, dataset, signal) {
  const count = Number(first(dataset, TAG.NumberOfFrames)) || 1;
  const what = first(dataset, TAG.SeriesDescription) || "without description";
  const image = h("img", { alt: `Picture of ${person(dataset)}, ${what}` });
  const trouble = h("p", { class: "empty", hidden: true });
  let latest = 0;
  const show = async (frame) => {
    latest = frame;
    try {
      const url = await picture(count > 1 ? `${path}/frames/${frame}/rendered` : `${path}/rendered`, signal);
      if (latest !== frame) return;
      image.src = url;
      await image.decode();
      trouble.hidden = true;
    } catch (error) {
      if (error.name === "AbortError" || latest !== frame) return;
      trouble.textContent = `No picture: ${error.message}`;
      trouble.hidden = false;
    }
  };
  show(1);
  return h("figure", { class: "viewer" },
    h("div", { class: "screen" }, image, trouble), count > 1 && frames(count, show, signal));
}

function frames(count, show, signal) {
  const output = h("output", { for: "frame" }, `1 of ${count}`);
  const slider = h("input", { id: "frame", type: "range", min: 1, max: count, value: 1, step: 1 });
  const go = (frame) => {
    slider.value = frame;
    output.textContent = `${frame} of ${count}`;
    slider.setAttribute("aria-valuetext", `Frame ${frame} of ${count}`);
    return show(frame);
  };
  slider.addEventListener("input", () => go(Number(slider.value)));
  let playing = false;
  const play = h("button", { type: "button", "aria-pressed": "false" }, "Play");
  play.addEventListener("click", async () => {
    playing = !playing;
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(playing));
    while (playing && !signal.aborted) {
      await Promise.all([go(Number(slider.value) % count + 1), new Promise((done) => setTimeout(done, 120))]);
    }
  });
  return h("figcaption", { class: "frames" }, h("label", { for: "frame" }, "Frame"), slider, output, play);
}

export function tree(dataset, known) {
  const tags = Object.keys(dataset).sort();
  const items = tags.map((tag) => node(tag, dataset[tag], known));
  const texts = tags.map((tag) =>
    [known.keywords[tag], tagText(tag), tag, JSON.stringify(dataset[tag])].join(" ").toLowerCase());
  const field = h("input", { id: "filter", type: "search", placeholder: "Filter", autocomplete: "off", spellcheck: "false" });
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    items.forEach((item, index) => { item.hidden = !texts[index].includes(wanted); });
    say(plural(items.filter((item) => !item.hidden).length, "attribute"));
  });
  return h("div", {},
    h("div", { class: "heading" }, h("h3", {}, "Metadata"), h("span", { class: "muted" }, plural(tags.length, "attribute")),
      h("label", { for: "filter", class: "hidden" }, "Filter attributes"), field),
    h("ul", { class: "tree" }, items));
}

function node(tag, { vr, Value: content = [] }, known) {
  const keyword = known.keywords[tag] ?? (Number.parseInt(tag.slice(0, 4), 16) % 2 ? "private" : "unknown");
  const label = [h("span", { class: "key" }, keyword), " ", h("span", { class: "tag" }, `${tagText(tag)} ${vr}`)];
  if (vr !== "SQ") return h("li", { class: "leaf" }, h("span", {}, ...label), " ", leafValue(vr, content, known));
  if (!content.length) return h("li", { class: "leaf" }, h("span", {}, ...label), h("span", { class: "muted" }, "no items"));
  const box = h("details", {}, h("summary", {}, ...label, " ", h("span", { class: "muted" }, plural(content.length, "item"))));
  // Its content is made when somebody looks: a large file has thousands of items.
  box.addEventListener("toggle", () => {
    if (box.children.length > 1) return;
    box.append(h("ol", { class: "items" }, content.map((item) =>
      h("li", {}, h("ul", { class: "tree" }, Object.keys(item).sort().map((each) => node(each, item[each], known)))))));
  });
  return h("li", {}, box);
}

function leafValue(vr, content, known) {
  if (!content.length) return h("span", { class: "muted" }, "empty");
  const text = content.map((value) => (vr === "PN" && value ? Object.values(value).join(" = ") : textOf(value))).join(" \\ ");
  const meaning = vr === "UI" && own(known.uids, text);
  const shown = text.length > 400
    ? h("details", {}, h("summary", {}, `${text.slice(0, 80)}… (${plural(text.length, "character")})`), text) : text;
  return h("span", { class: "value" }, shown, meaning && h("span", { class: "muted" }, ` ${meaning}`));
}
