// Storing files that somebody chooses or drops.

import { attempt, current, notify, refresh } from "./script.js";
import { ask } from "./service.js";
import { h, plural, say } from "./tools.js";

async function store(files, route) {
  const outcome = { stored: 0, refused: [] };
  for (const [index, file] of [...files].entries()) {
    say(`Storing ${index + 1} of ${files.length} …`);
    // Not marked as this page's: to the request log it is an upload like any other.
    const headers = { "Content-Type": "application/dicom" };
    const response = await ask(`${route.scope}studies`, { method: "POST", body: file, headers });
    if (response.ok) outcome.stored += 1;
    else outcome.refused.push(`${file.name}: ${await reason(response)}`);
  }
  const lines = outcome.refused.slice(0, 5).map((each) => h("span", { class: "block" }, each));
  notify([`${plural(outcome.stored, "file")} stored. `, ...lines]);
}

async function reason(response) {
  const text = await response.text();
  try {
    const code = JSON.parse(text)["00081198"].Value[0]["00081197"].Value[0];
    return { 45070: "it is there already", 43264: "it is not valid DICOM" }[code] ?? `failure reason ${code}`;
  } catch {
    return text || `status ${response.status}`;
  }
}

export function storeButton(route) {
  const input = h("input", { type: "file", multiple: true, class: "hidden", id: "files" });
  input.addEventListener("change", () => attempt(() => store(input.files, route).then(refresh)));
  return h("span", { class: "store" }, input, h("label", { for: "files", class: "button" }, "Store files …"));
}

document.addEventListener("dragover", (event) => event.preventDefault());

document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) attempt(() => store(event.dataTransfer.files, current).then(refresh));
});
