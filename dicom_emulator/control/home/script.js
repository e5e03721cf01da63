// The emulator's home page. What comes from files and from requests becomes text here, never markup.

import { instance, series, studies, study } from "./archive.js";
import { own } from "./dicom.js";
import { faults } from "./faults.js";
import { connect, more } from "./more.js";
import { heading } from "./parts.js";
import { covers, forgetPictures } from "./pictures.js";
import { requests } from "./requests.js";
import { control } from "./service.js";
import { state } from "./state.js";
import { $, enc, h, main, plural } from "./tools.js";

/** Does what a button says; what goes wrong is said aloud. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    notify([error.message]);
  }
}

const VIEWS = { studies, study, series, instance, requests, faults, state, more, connect };
const TITLES = { requests: "Requests", faults: "Faults", state: "Reset", more: "More", connect: "Connect" };
export let current = { view: "studies", path: "studies", scope: "", ids: {}, query: new URLSearchParams() };
let leaving = new AbortController();
export let counts = { partitions: [] };

/** What the address after "#" asks for: a path as the service has it, below a partition where there are some. */
function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  let parts = path.split("/").filter(Boolean);
  let scope = "";
  if (parts[0] === "partitions" && parts[1]) {
    scope = `partitions/${parts[1]}/`;
    parts = parts.slice(2);
  } else if (counts.partitioned) {
    const filled = counts.partitions.find((each) => each.instances) ?? counts.partitions[0];
    scope = `partitions/${enc(current.partition ?? filled.name)}/`;
  }
  const partition = decode(scope.split("/")[1] ?? "") || undefined;
  const route = { scope, partition, query: new URLSearchParams(query), ids: {} };
  if (own(TITLES, parts[0])) return { ...route, view: parts[0], path: parts[0] };
  const levels = ["studies", "series", "instances"].slice(0, parts.length / 2);
  const uids = levels.map((level, index) => parts[2 * index] === level && decode(parts[2 * index + 1]));
  if (!levels.length || !uids.every((uid) => /^[0-9][^/]*$/.test(uid))) {
    return { ...route, view: "studies", path: `${scope}studies` };
  }
  levels.forEach((level, index) => { route.ids[level] = uids[index]; });
  const known = scope + levels.map((level, index) => `${level}/${enc(uids[index])}`).join("/");
  return { ...route, view: ["study", "series", "instance"][levels.length - 1], path: known };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Shows what the address asks for. `moved`: somebody followed a link, so the focus goes to the new heading. */
async function show(moved) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    if (!counts.partitions.length) await refreshCounts();
    current = routeOf(location.hash);
    content = await VIEWS[current.view](current, signal);
  } catch (error) {
    if (signal.aborted) return;
    content = [heading("That did not work"), h("p", {}, error.message),
      h("p", {}, h("button", { type: "button", click: () => show(true) }, "Try again"))];
  }
  if (signal.aborted) return;
  const focused = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
  main.replaceChildren(...content.flat(2).filter(Boolean));
  main.removeAttribute("aria-busy");
  drawnAt = signature();
  $("notice").hidden = $("notice").dataset.kept !== "yes" || moved;
  delete $("notice").dataset.kept;
  const title = main.querySelector("h2")?.textContent;
  document.title = `${own(TITLES, current.view) ?? title} – DICOM service emulator`;
  for (const link of document.querySelectorAll("#nav a")) {
    const here = link.dataset.view === (own(TITLES, current.view) ? current.view : "studies");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("partition").value = current.partition ?? "";
  if (moved) {
    scrollTo(0, 0);
    main.querySelector("h2")?.focus({ preventScroll: true });
  } else if (focused) {
    [...main.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }
}

export const refresh = async () => { await refreshCounts(); await show(false); };

/** A line above the view, until the next move. */
export function notify(content) {
  const notice = $("notice");
  notice.replaceChildren(...content);
  notice.hidden = false;
  notice.dataset.kept = "yes";
}

let drawnAt = "";
const signature = () => JSON.stringify(counts);

export async function refreshCounts() {
  counts = await (await control("summary")).json();
  const sum = (name) => counts.partitions.reduce((total, each) => total + each[name], 0);
  $("counts").textContent = [plural(sum("studies"), "study", "studies"), plural(sum("series"), "series", "series"),
    plural(sum("instances"), "instance")].join(" · ");
  $("partitions").hidden = !counts.partitioned;
  const options = counts.partitions.map((each) => each.name);
  if (options.join("/") !== [...$("partition").options].map((each) => each.value).join("/")) {
    $("partition").replaceChildren(...options.map((name) => h("option", { value: name }, name)));
    $("partition").value = current.partition ?? options[0];
  }
}

/** The archive may change under the page: the list follows by itself, other views offer to. */
async function follow() {
  await refreshCounts();
  if (signature() === drawnAt || main.hasAttribute("aria-busy") || own(TITLES, current.view)) return;
  if (current.view === "studies" && !main.querySelector("details[open]") && document.activeElement?.id !== "search-for") {
    await show(false);
    return;
  }
  drawnAt = signature();
  notify(["The archive has changed. ", h("button", { type: "button", click: () => {
    forgetPictures();
    covers.clear();
    show(true);
  } }, "Show it as it is now")]);
}

let unreachable = false;

/** Calls `work` every so often while somebody may be looking. */
export function every(milliseconds, work, signal) {
  const timer = setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    try {
      await work();
      if (unreachable) {
        unreachable = false;
        $("notice").dataset.kept = "no";
        show(false);
      }
    } catch (error) {
      if (signal?.aborted || unreachable) return;
      unreachable = true;
      notify(["The emulator does not answer. This page goes on trying."]);
    }
  }, milliseconds);
  signal?.addEventListener("abort", () => clearInterval(timer));
}

addEventListener("hashchange", () => show(true));
$("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
$("partition").addEventListener("change", () => { location.hash = `#/partitions/${enc($("partition").value)}/studies`; });
show(false).then(() => every(2000, follow));
