// What several views have in common.

import { h } from "./tools.js";

export const heading = (text, ...more) => h("div", { class: "heading" }, h("h2", { tabindex: "-1" }, text), ...more);

export function crumbs(...steps) {
  return h("nav", { class: "crumbs", "aria-label": "Where this is" },
    h("ol", {}, steps.map(([text, path]) => h("li", {},
      path == null ? h("span", { "aria-current": "page" }, text) : h("a", { href: `#/${path}` }, text)))));
}

export function facts(...pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value).map(([name, value, mono]) =>
    h("div", {}, h("dt", {}, name), h("dd", { class: mono && "mono" }, value))));
}

/** A row of a list: picture, two lines of text, and a few facts; the whole is one link. */
export function row({ href, thumb, title, text, meta }) {
  return h("li", {}, h("a", { class: "row", href }, thumb,
    h("span", { class: "row-text" }, h("strong", {}, title), h("span", {}, text)),
    h("span", { class: "meta" }, meta.map((each) => h("span", {}, each)))));
}

export function pager(route, offset, count, more, page) {
  if (!offset && !more) return null;
  const at = (start, text) => {
    const query = new URLSearchParams(route.query);
    query.set("offset", start);
    return h("a", { class: "button", href: `#/${route.path}?${query}` }, text);
  };
  return h("nav", { class: "pager", "aria-label": "Pages" },
    offset > 0 && at(Math.max(0, offset - page), "← Newer"),
    h("span", {}, `${(offset + 1).toLocaleString("en")} to ${(offset + count).toLocaleString("en")}`),
    more && at(offset + page, "Older →"));
}

export const offsetOf = (route) => Math.max(0, Number.parseInt(route.query.get("offset"), 10) || 0);

export function table(caption, heads, rows, otherwise) {
  if (!rows.length) return h("p", { class: "empty" }, otherwise);
  return h("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, h("table", {},
    h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((each) => h("td", {}, each)))))));
}
