// View: reset, snapshots, the built-in set.

import { seedButton } from "./archive.js";
import { heading } from "./parts.js";
import { forgetPictures } from "./pictures.js";
import { attempt, notify, refreshCounts } from "./script.js";
import { control, post, ROOT } from "./service.js";
import { code, quoted } from "./snippets.js";
import { confirmed, enc, h, moment, plural, say } from "./tools.js";

export async function state() {
  const list = h("ul", { class: "plain" });
  const update = async () => {
    const snapshots = await (await control("snapshots")).json();
    list.replaceChildren(...snapshots.map((each) => snapshot(each, update)));
    if (!snapshots.length) list.append(h("li", { class: "empty" }, "None is kept."));
  };
  await update();
  const name = h("input", { id: "snapshot", required: true, autocomplete: "off", spellcheck: "false" });
  const save = (event) => {
    event.preventDefault();
    attempt(async () => {
      await post("snapshots", { name: name.value.trim() });
      say(`${name.value.trim()} is kept.`);
      name.value = "";
      await update();
    });
  };
  const reset = async () => {
    const text = "All instances, faults and the request log go. This cannot be undone.";
    if (!await confirmed("Empty the archive?", text, "Reset")) return;
    await attempt(async () => {
      await post("reset");
      forgetPictures();
      await refreshCounts();
      notify(["Everything is as at the start."]);
    });
  };
  return [
    heading("Reset"),
    h("p", { class: "lead" }, "Back to a known state, as before each test."),
    h("section", { class: "panel" }, h("h3", {}, "Start anew"),
      h("p", {}, "Removes every instance, every fault and the request log. Snapshots stay."),
      h("button", { type: "button", class: "danger", click: reset }, "Reset …"),
      code("curl", `curl -X POST ${quoted(`${ROOT}_emulator/reset`)}`)),
    h("section", { class: "panel" }, h("h3", {}, "Snapshots"),
      h("p", {}, "Keep what is stored now under a name, and come back to it whenever you like."),
      h("form", { class: "search", submit: save }, h("label", { for: "snapshot" }, "Name"), name, h("button", {}, "Keep")),
      list),
    h("section", { class: "panel" }, h("h3", {}, "Built-in set"),
      h("p", {}, "A few made-up patients with pictures, the same each time."), seedButton()),
  ];
}

function snapshot({ name, created, instances }, update) {
  const restore = async () => {
    if (!await confirmed(`Go back to “${name}”?`, "What is stored now is replaced by the snapshot.", "Go back")) return;
    await attempt(async () => {
      await post(`snapshots/${enc(name)}/restore`);
      forgetPictures();
      await refreshCounts();
      notify([`The archive is as in “${name}”.`]);
    });
  };
  const remove = () => attempt(async () => {
    await control(`snapshots/${enc(name)}`, { method: "DELETE" });
    await update();
    say(`${name} is removed.`);
  });
  return h("li", { class: "snapshot" },
    h("span", {}, h("strong", {}, name), " ", h("span", { class: "muted" },
      [plural(instances, "instance"), created && moment(created)].filter(Boolean).join(" · "))),
    h("button", { type: "button", click: restore }, "Go back", h("span", { class: "hidden" }, ` to ${name}`)),
    h("button", { type: "button", click: remove }, "Remove", h("span", { class: "hidden" }, ` ${name}`)));
}
