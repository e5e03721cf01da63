// Views: studies, a study, a series, an instance.

import { day, dictionary, first, modality, own, person, TAG, values } from "./dicom.js";
import { crumbs, facts, heading, offsetOf, pager, row } from "./parts.js";
import { cover, pathOf, thumbnail } from "./pictures.js";
import { attempt, counts, refresh, refreshCounts } from "./script.js";
import { ask, FILE_TYPE, good, JSON_TYPE, post, search } from "./service.js";
import { asCode, code, curlStore, pythonStore } from "./snippets.js";
import { $, enc, h, plural, say, size } from "./tools.js";
import { storeButton } from "./upload.js";
import { tree, viewer } from "./viewer.js";

const STUDIES_A_PAGE = 24;
const ALL_FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*';
const MOST_ROWS = 200; // the service gives no more at a time

const SEARCHES = {
  PatientName: "Patient’s name", PatientID: "Patient ID", AccessionNumber: "Accession number",
  StudyDescription: "Description", StudyDate: "Study date", ModalitiesInStudy: "Modality",
};

export async function studies(route, signal) {
  const offset = offsetOf(route);
  const by = Object.keys(SEARCHES).find((each) => route.query.get(each));
  const query = new URLSearchParams({ limit: STUDIES_A_PAGE + 1, offset });
  query.set("includefield", "ModalitiesInStudy,NumberOfStudyRelatedInstances");
  if (by) query.set(by, by === "StudyDate" ? undashed(route.query.get(by)) : route.query.get(by));
  if (by === "PatientName") query.set("fuzzymatching", "true");
  const path = `${route.scope}studies?${readable(query)}`;
  const [rows] = await Promise.all([search(path, signal), refreshCounts()]);
  const shown = rows.slice(0, STUDIES_A_PAGE);
  if (!shown.length && !by && !offset) return welcome(route);
  if (by) say(`${plural(shown.length, "study", "studies")}${rows.length > shown.length ? " on this page" : ""} found.`);
  return [
    heading("Archive", storeButton(route)),
    h("p", { class: "lead" }, "A ", h("b", {}, "study"), " is one examination of one patient. It holds ",
      h("b", {}, "series"), ", one for each scan, and a series holds ", h("b", {}, "instances"),
      ": the single files, each a picture with the facts about it."),
    searchForm(by, route),
    shown.length
      ? h("ul", { class: "rows" }, shown.map((each) => studyRow(each, route, signal)))
      : h("p", { class: "empty" }, "No study matches."),
    pager(route, offset, shown.length, rows.length > STUDIES_A_PAGE, STUDIES_A_PAGE),
    asCode("This list as a request:", path, JSON_TYPE),
  ];
}

/** 2004-01-19 as DICOM writes it: 20040119. */
const undashed = (text) => text.replaceAll(/\b(\d{4})-(\d\d)-(\d\d)\b/g, "$1$2$3");

/** A query string that people can read: commas stay commas. */
const readable = (query) => query.toString().replaceAll("%2C", ",");

function studyRow(study, route, signal) {
  const path = `${route.scope}studies/${enc(first(study, TAG.StudyInstanceUID))}`;
  const count = Number(first(study, TAG.StudyInstances));
  const kinds = values(study, TAG.ModalitiesInStudy);
  const id = first(study, TAG.PatientID);
  return row({
    href: `#/${path}`,
    thumb: thumbnail(() => cover(path, count, signal), kinds[0] ?? "–", signal),
    title: person(study),
    text: [first(study, TAG.StudyDescription), id && `ID ${id}`].filter(Boolean).join(" · ") || "No description",
    meta: [day(first(study, TAG.StudyDate)), kinds.join(", "), plural(count, "instance")],
  });
}

function searchForm(by, route) {
  const select = h("select", { id: "search-by", name: "by" },
    Object.entries(SEARCHES).map(([name, label]) => h("option", { value: name, selected: name === by }, label)));
  const field = h("input", { id: "search-for", type: "search", autocomplete: "off", spellcheck: "false" });
  field.value = by ? route.query.get(by) : "";
  const submit = (event) => {
    event.preventDefault();
    const wanted = field.value.trim();
    location.hash = `#/${route.scope}studies${wanted ? `?${new URLSearchParams({ [select.value]: wanted })}` : ""}`;
  };
  return h("form", { class: "search", role: "search", submit },
    h("label", { for: "search-by", class: "hidden" }, "Search by"), select,
    h("label", { for: "search-for", class: "hidden" }, "Search for"), field,
    h("button", {}, "Search"), by && h("a", { href: `#/${route.scope}studies` }, "Show all"));
}

export async function study(route, signal) {
  const path = route.path;
  const uid = route.ids.studies;
  const offset = offsetOf(route);
  const fields = "SeriesNumber,SeriesDescription,NumberOfSeriesRelatedInstances";
  const list = `${path}/series?limit=${STUDIES_A_PAGE + 1}&offset=${offset}&includefield=${fields}`;
  const [[found], rows] = await Promise.all([search(studyQuery(route), signal), search(list, signal)]);
  if (!found) return missing("study", route);
  const shown = rows.slice(0, STUDIES_A_PAGE);
  return [
    crumbs(["Archive", `${route.scope}studies`], [person(found)]),
    heading(first(found, TAG.StudyDescription) || "Study"),
    facts(["Patient", person(found)], ["Patient ID", first(found, TAG.PatientID)],
      ["Born", day(first(found, TAG.PatientBirthDate))], ["Date", day(first(found, TAG.StudyDate))],
      ["Accession number", first(found, TAG.AccessionNumber)], ["Study UID", uid, true]),
    h("h3", {}, "Series"),
    h("ul", { class: "rows" }, shown.map((each) => {
      const below = `${path}/series/${enc(first(each, TAG.SeriesInstanceUID))}`;
      const count = Number(first(each, TAG.SeriesInstances));
      const kind = first(each, TAG.Modality);
      const number = first(each, TAG.SeriesNumber);
      return row({
        href: `#/${below}`,
        thumb: thumbnail(() => cover(below, count, signal), kind || "–", signal),
        title: first(each, TAG.SeriesDescription) || (number ? `Series ${number}` : "Series"),
        text: modality(kind) || "No modality",
        meta: [plural(count, "instance")],
      });
    })),
    pager(route, offset, shown.length, rows.length > STUDIES_A_PAGE, STUDIES_A_PAGE),
    asCode("The series as a request:", list, JSON_TYPE),
    asCode("All files of the study:", path, ALL_FILES, "study.multipart"),
  ];
}

const studyQuery = (route) =>
  `${route.scope}studies?StudyInstanceUID=${enc(route.ids.studies)}&includefield=ModalitiesInStudy`;

const instancesQuery = (path, offset) =>
  `${path}/instances?limit=${MOST_ROWS}&offset=${offset}&includefield=InstanceNumber,NumberOfFrames,Rows,Columns`;

const byNumber = (one, other) => Number(first(one, TAG.InstanceNumber)) - Number(first(other, TAG.InstanceNumber));

export async function series(route, signal) {
  const offset = offsetOf(route);
  const list = instancesQuery(route.path, offset);
  const about = `${route.scope}studies/${enc(route.ids.studies)}/series?SeriesInstanceUID=${enc(route.ids.series)}` +
    "&includefield=SeriesDescription,SeriesNumber,NumberOfSeriesRelatedInstances";
  const [[found], [parent], rows] = await Promise.all([
    search(about, signal), search(studyQuery(route), signal), search(list, signal),
  ]);
  if (!found || !parent) return missing("series", route);
  const count = Number(first(found, TAG.SeriesInstances));
  return [
    crumbs(["Archive", `${route.scope}studies`], [person(parent), `${route.scope}studies/${enc(route.ids.studies)}`],
      [first(found, TAG.SeriesDescription) || "Series"]),
    heading(first(found, TAG.SeriesDescription) || "Series"),
    facts(["Modality", modality(first(found, TAG.Modality))], ["Number", first(found, TAG.SeriesNumber)],
      ["Instances", count.toLocaleString("en")], ["Series UID", route.ids.series, true]),
    h("h3", {}, "Instances"),
    h("ul", { class: "tiles" }, rows.sort(byNumber).map((each) => tile(each, route, found, signal))),
    pager(route, offset, rows.length, offset + rows.length < count, MOST_ROWS),
    asCode("The instances as a request:", list, JSON_TYPE),
  ];
}

function tile(instance, route, parent, signal) {
  const path = pathOf(instance, route.path);
  const frames = Number(first(instance, TAG.NumberOfFrames)) || 1;
  const number = first(instance, TAG.InstanceNumber);
  const label = [number ? `Instance ${number}` : "Instance", frames > 1 && plural(frames, "frame")];
  const drawn = first(instance, TAG.Rows) && `${path}/rendered?quality=75`;
  return h("li", {}, h("a", { class: "tile", href: `#/${path}` },
    thumbnail(async () => drawn, first(parent, TAG.Modality) || "–", signal),
    h("span", {}, label.filter(Boolean).join(" · "))));
}

export async function instance(route, signal) {
  const path = route.path;
  const parent = path.replace(/\/instances\/.*/, "");
  const metadata = `${path}/metadata`;
  const [response, siblings, known] = await Promise.all([
    ask(metadata, { signal }), search(instancesQuery(parent, 0), signal), dictionary(),
  ]);
  if (response.status === 404) return missing("instance", route);
  const [dataset] = await (await good(response)).json();
  const number = first(dataset, TAG.InstanceNumber);
  const title = number ? `Instance ${number}` : "Instance";
  const description = first(dataset, TAG.SeriesDescription) || "Series";
  const file = `${route.ids.instances.replaceAll(/[^\w.-]/g, "_")}.dcm`;
  const download = async () => {
    try {
      const blob = await (await good(await ask(path, { accept: FILE_TYPE }))).blob();
      const link = h("a", { href: URL.createObjectURL(blob), download: file });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      say(`${file} downloaded, ${size(blob.size)}.`);
    } catch (error) {
      say(error.message);
    }
  };
  const kind = first(dataset, TAG.SOPClassUID);
  return [
    crumbs(["Archive", `${route.scope}studies`], [person(dataset), parent.replace(/\/series\/.*/, "")],
      [description, parent], [title]),
    heading(title, neighbours(siblings.sort(byNumber), route, parent),
      h("button", { type: "button", click: download }, "Download .dcm")),
    h("div", { class: "instance" },
      first(dataset, TAG.Rows)
        ? viewer(path, dataset, signal)
        : h("p", { class: "empty" }, "No picture: this instance holds no pixels. Its facts are all there is."),
      h("section", { class: "about", "aria-label": "Facts" },
        facts(["Patient", person(dataset)], ["Kind", own(known.uids, kind) ?? kind],
          ["Size", first(dataset, TAG.Rows) && `${first(dataset, TAG.Columns)} × ${first(dataset, TAG.Rows)} pixels`],
          ["Instance UID", route.ids.instances, true]),
        tree(dataset, known))),
    asCode("The picture as a request:", `${path}/rendered`, "image/jpeg", "picture.jpg"),
    asCode("The metadata:", metadata, JSON_TYPE),
    asCode("The file:", path, FILE_TYPE, "instance.dcm"),
  ];
}

function neighbours(siblings, route, parent) {
  const position = siblings.findIndex((each) => first(each, TAG.SOPInstanceUID) === route.ids.instances);
  if (siblings.length < 2 || position < 0) return null;
  const to = (index, id, key, text) => siblings[index] && h("a", {
    class: "button", id, href: `#/${pathOf(siblings[index], parent)}`, "aria-keyshortcuts": key,
  }, text);
  return h("nav", { class: "pager", "aria-label": "Neighbours" },
    to(position - 1, "before", "ArrowLeft", "← Previous"), h("span", {}, `${position + 1} of ${siblings.length}`),
    to(position + 1, "after", "ArrowRight", "Next →"));
}

document.addEventListener("keydown", (event) => {
  const busy = event.target.closest("input, select, pre, dialog") || event.altKey || event.ctrlKey || event.metaKey;
  if (!busy && event.key === "ArrowLeft") $("before")?.click();
  if (!busy && event.key === "ArrowRight") $("after")?.click();
});

function welcome(route) {
  return [
    heading("Nothing is stored yet", storeButton(route)),
    h("p", { class: "lead" }, "This is a DICOM service, empty and waiting. ",
      "Drop files onto this page, send some from a program, or begin with a few made-up patients."),
    h("p", {}, seedButton()),
    h("h3", {}, "Send a file"),
    code("curl", curlStore(route)), code("Python", pythonStore(route)),
  ];
}

export function seedButton() {
  return h("button", { type: "button", class: "primary", click: () => attempt(async () => {
    const { stored } = await (await post("seed", { set: "synthetic" })).json();
    say(`${plural(stored, "instance")} stored.`);
    location.hash = counts.partitioned ? `#/partitions/${enc(counts.partitions[0].name)}/studies` : "#/studies";
    await refresh();
  }) }, "Store the built-in set");
}

async function missing(what, route) {
  return [heading("Not here"), h("p", {}, `There is no such ${what}, or no longer.`),
    h("p", {}, h("a", { href: `#/${route.scope}studies` }, "To the archive"))];
}
