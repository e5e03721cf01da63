// View: faults, ready-made and of one’s own.

import { heading } from "./parts.js";
import { attempt, every } from "./script.js";
import { control, post } from "./service.js";
import { h, say } from "./tools.js";

const READY_MADE = [
  ["Next request fails", "503, as when the service is overloaded", { status: 503 }],
  ["Slow answers", "2 seconds more for each of the next 10", { delay: 2, count: 10 }],
  ["Token expired", "the next request is answered 401", { expired_token: true }],
  ["Broken download", "the next body breaks off after 1000 bytes", { cut_after: 1000, method: "GET" }],
];

function sentence(fault) {
  const which = fault.method === "*" ? "Requests" : `${fault.method} requests`;
  const where = fault.path === "*" ? "" : ` to ${fault.path}`;
  const from = fault.nth > 1 ? ` from the ${fault.nth}th on` : "";
  const many = fault.count ? `, ${fault.count === 1 ? "once" : `${fault.count} times`}` : ", always";
  const effects = [
    fault.delay && `wait ${fault.delay} s`, fault.expired_token && "meet an expired token",
    fault.status && `are answered ${fault.status}`, fault.cut_after != null && `break off after ${fault.cut_after} bytes`,
    fault.bytes_per_second && `get ${fault.bytes_per_second} bytes a second`,
  ].filter(Boolean);
  return `${which}${where}${from} ${effects.join(" and ") || "go on as ever"}${many}.`;
}

export async function faults(route, signal) {
  const list = h("ul", { class: "plain" });
  let before;
  const update = async () => {
    const text = await (await control("faults", { signal })).text();
    if (text === before) return;
    before = text;
    const rules = JSON.parse(text);
    list.replaceChildren(...rules.map((fault) => {
      const used = fault.count > 0 && fault.seen >= fault.nth + fault.count - 1;
      return h("li", { class: used ? "used" : "" }, sentence(fault), " ",
        h("span", { class: "muted" }, used ? "Used up." : `${fault.seen} seen so far.`));
    }));
    if (!rules.length) list.append(h("li", { class: "empty" }, "No fault is set: everything works."));
  };
  await update();
  every(1000, update, signal);
  const add = (fault) => attempt(async () => {
    await post("faults", fault);
    await update();
    say(`Set: ${sentence({ method: "*", path: "*", nth: 1, count: 1, ...fault })}`);
  });
  const clear = () => attempt(async () => {
    await control("faults", { method: "DELETE" });
    await update();
    say("No fault is set.");
  });
  return [
    heading("Faults"),
    h("p", { class: "lead" }, "Let requests go wrong on purpose, to see how a client takes it. This page itself is spared."),
    h("ul", { class: "cards" }, READY_MADE.map(([title, text, fault]) =>
      h("li", {}, h("button", { type: "button", class: "card", click: () => add(fault) },
        h("strong", {}, title), h("span", {}, text))))),
    h("div", { class: "heading" }, h("h3", {}, "Set now"), h("button", { type: "button", click: clear }, "Remove all")),
    list,
    faultForm(add),
  ];
}

const FAULT_FIELDS = [
  ["path", "Path", "text", "* and ? stand for any characters, as in /v2/studies*"],
  ["nth", "From request no.", "number", "1 is the next one"],
  ["count", "How many", "number", "0 for all that follow"],
  ["status", "Answer with status", "number", "200 to 599, such as 503"],
  ["delay", "Wait first, seconds", "number", "0 to 3600"],
  ["cut_after", "Break off after bytes", "number", "of the answer’s body"],
  ["bytes_per_second", "Bytes a second", "number", "how fast the body is sent"],
];

function faultForm(add) {
  const method = h("select", { id: "fault-method" }, ["*", "GET", "POST", "PUT", "DELETE"].map((each) =>
    h("option", { value: each }, each === "*" ? "any" : each)));
  const expired = h("input", { id: "fault-expired_token", type: "checkbox" });
  const fields = FAULT_FIELDS.map(([name, label, type, hint]) => [name, label, hint,
    h("input", { id: `fault-${name}`, type, min: 0, step: name === "delay" ? "any" : 1, "aria-describedby": `hint-${name}` })]);
  const submit = (event) => {
    event.preventDefault();
    const fault = { method: method.value };
    for (const [name, , , input] of fields) {
      if (input.value !== "") fault[name] = input.type === "number" ? Number(input.value) : input.value;
    }
    if (expired.checked) fault.expired_token = true;
    add(fault);
  };
  return h("details", { class: "own" }, h("summary", {}, "A fault of your own"),
    h("form", { class: "grid", submit },
      h("p", {}, h("label", { for: "fault-method" }, "Method"), method),
      fields.map(([name, label, hint, input]) =>
        h("p", {}, h("label", { for: input.id }, label), input, h("small", { id: `hint-${name}` }, hint))),
      h("p", { class: "check" }, expired, h("label", { for: "fault-expired_token" }, "Treat the token as expired")),
      h("p", {}, h("button", { class: "primary" }, "Set this fault"))));
}
