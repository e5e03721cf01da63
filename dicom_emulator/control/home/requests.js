// View: the request log as it grows.

import { heading } from "./parts.js";
import { attempt, every } from "./script.js";
import { control, ROOT } from "./service.js";
import { code, curlSignIn, quoted } from "./snippets.js";
import { clock, h, plural, say, size } from "./tools.js";

const WHAT = [
  [/\/rendered$/, "picture"], [/\/frames\//, "frames"], [/\/metadata$/, "metadata"], [/\/changefeed/, "change feed"],
  [/\/workitems/, "work item"], [/\/extendedquerytags/, "query tags"], [/\/operations/, "operation"],
];

function transaction({ method, path: target }) {
  const path = target.split("?")[0].replace(/\/$/, "");
  const known = WHAT.find(([pattern]) => pattern.test(path));
  if (known) return known[1];
  if (method === "POST" || method === "PUT") return /\/studies/.test(path) ? "store" : "other";
  if (method === "DELETE") return "delete";
  if (/\/(studies|series|instances)$/.test(path)) return "search";
  return /\/studies\/[^/]+/.test(path) ? "retrieve" : "other";
}

export async function requests(route, signal) {
  const list = h("ol", { class: "log" });
  const empty = h("p", { class: "empty" }, "No request yet. Whatever a client sends shows up here at once.");
  const count = h("span", { class: "muted" });
  const rows = new Map();
  let paused = false;
  let before;
  const update = async () => {
    if (paused) return;
    const text = await (await control("requests", { signal })).text();
    if (text === before) return;
    before = text;
    const exchanges = JSON.parse(text);
    const keys = new Set();
    const elements = exchanges.map((each, index) => {
      let key = `${each.time} ${each.method} ${each.path} ${each.milliseconds}`;
      if (keys.has(key)) key += ` ${index}`;
      keys.add(key);
      if (!rows.has(key)) rows.set(key, exchange(each));
      return rows.get(key);
    });
    for (const [key, element] of rows) {
      if (keys.has(key)) continue;
      element.remove();
      rows.delete(key);
    }
    // New ones go on top; what is there already stays untouched, so that focus and open boxes remain.
    for (const element of elements) if (!element.isConnected || element.parentNode !== list) list.prepend(element);
    count.textContent = plural(exchanges.length, "request");
    empty.hidden = exchanges.length > 0;
  };
  await update();
  every(1000, update, signal);
  const pause = h("button", { type: "button", "aria-pressed": "false", click: () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    live.classList.toggle("still", paused);
  } }, "Pause");
  const live = h("span", { class: "live" }, "live");
  const clear = () => attempt(async () => {
    await control("requests", { method: "DELETE" });
    before = undefined;
    await update();
    say("The list is empty.");
  });
  return [
    heading("Requests", live, count, pause, h("button", { type: "button", click: clear }, "Clear")),
    h("p", { class: "lead" }, "What clients sent, newest first: the last 200. ",
      "Tokens are left out, and so is what this page looks up."),
    empty, list,
  ];
}

function exchange(each) {
  const failed = each.status == null || each.status >= 400;
  const box = h("details", { class: "exchange" },
    h("summary", {},
      h("span", { class: `status ${failed ? "bad" : "fine"}` }, String(each.status ?? "broken")),
      h("span", { class: "method" }, each.method), h("span", { class: "path" }, each.path),
      h("span", { class: "meta" }, h("span", {}, transaction(each)), h("span", {}, `${each.milliseconds} ms`),
        h("span", {}, size(each.responseBytes)), h("time", { datetime: each.time }, clock(each.time)))));
  box.addEventListener("toggle", () => {
    if (box.children.length > 1) return;
    box.append(h("div", { class: "halves" },
      half("Request", each.requestHeaders, each.requestBytes), half("Response", each.responseHeaders, each.responseBytes)),
    each.parts?.length ? partTable(each.parts) : "", code("curl", again(each)));
  });
  return h("li", {}, box);
}

function half(title, headers, bytes) {
  return h("section", {}, h("h3", {}, title),
    h("dl", { class: "headers" }, Object.entries(headers).map(([name, value]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("p", { class: "muted" }, bytes ? `Body of ${size(bytes)}` : "No body"));
}

function partTable(parts) {
  const most = 20;
  return h("section", {}, h("h3", {}, plural(parts.length, "part")),
    h("ol", { class: "parts" }, parts.slice(0, most).map((part) => h("li", {}, size(part.bytes)))),
    parts.length > most && h("p", { class: "muted" }, `and ${parts.length - most} more`));
}

function again(each) {
  const headers = ["accept", "content-type"].filter((name) => each.requestHeaders[name])
    .map((name) => `  -H ${quoted(`${name}: ${each.requestHeaders[name]}`)} \\\n`);
  const body = each.requestBytes ? "  --data-binary @body \\\n" : "";
  return `${curlSignIn()}
curl -X ${quoted(each.method)} -H "Authorization: Bearer $TOKEN" \\
${headers.join("")}${body}  ${quoted(ROOT.href.replace(/\/$/, "") + each.path)}`;
}
