// Views: what else the service keeps, and how to connect to it.

import { first, person, TAG } from "./dicom.js";
import { heading, table } from "./parts.js";
import { counts } from "./script.js";
import { ask, good, JSON_TYPE, RESOURCE, ROOT } from "./service.js";
import { asCode, code, curl, curlStore, python, pythonStore, quoted } from "./snippets.js";
import { enc, h, moment } from "./tools.js";

const FEED_ROWS = 50;

export async function more(route, signal) {
  const [changes, tags, workitems] = await Promise.all([
    latestChanges(signal), optional("extendedquerytags", signal), optional("workitems?includefield=all", signal),
  ]);
  return [
    heading("More"),
    h("p", { class: "lead" }, "What the service keeps besides studies."),
    h("h3", {}, "Change feed"),
    h("p", { class: "muted" }, "Every instance that was stored, replaced or deleted, newest first."),
    table("Change feed", ["No.", "Action", "Time", "Instance"], changes.map((each) => [
      String(each.sequence), each.action, moment(each.timestamp), changed(each)]),
    "Nothing has changed yet."),
    asCode("The change feed as a request:", "changefeed?includemetadata=false", "application/json"),
    tags && [h("h3", {}, "Extended query tags"),
      h("p", { class: "muted" }, "Attributes that searches can use besides those that are always there."),
      table("Extended query tags", ["Tag", "VR", "Level", "Status"], tags.map((each) =>
        [each.path, each.vr, each.level, `${each.status}, searching ${String(each.queryStatus).toLowerCase()}`]),
      "None was added.")],
    workitems && [h("h3", {}, "Work items"),
      h("p", { class: "muted" }, "Tasks that systems hand to each other, as in a worklist."),
      table("Work items", ["Label", "State", "Patient", "UID"], workitems.map((each) =>
        [first(each, TAG.Label), first(each, TAG.State), person(each), first(each, TAG.SOPInstanceUID)]),
      "None was created.")],
  ];
}

/** The newest entries of the change feed, which lists the oldest first. */
async function latestChanges(signal) {
  const latest = await good(await ask("changefeed/latest?includemetadata=false", { accept: "application/json", signal }));
  if (latest.status === 204) return [];
  const { sequence } = await latest.json();
  const path = `changefeed?includemetadata=false&limit=${FEED_ROWS}&offset=${Math.max(0, sequence - FEED_ROWS)}`;
  const rows = await (await good(await ask(path, { accept: "application/json", signal, version: "v1" }))).json();
  return rows.reverse();
}

function changed(each) {
  const uids = [each.studyInstanceUid, each.seriesInstanceUid, each.sopInstanceUid].map(enc);
  const path = `studies/${uids[0]}/series/${uids[1]}/instances/${uids[2]}`;
  const scope = counts.partitioned ? `partitions/${enc(each.partitionName)}/` : "";
  if (each.state === "Deleted") return `${each.sopInstanceUid} (gone)`;
  return h("a", { href: `#/${scope}${path}` }, each.sopInstanceUid);
}

/** The rows of a list that not every emulator has; nothing where this one has it not. */
async function optional(path, signal) {
  const response = await ask(path, { signal });
  if (response.status === 204) return [];
  return response.ok ? response.json() : null;
}

export async function connect(route) {
  const root = ROOT.href.replace(/\/$/, "");
  return [
    heading("Connect"),
    h("p", { class: "lead" }, "The service answers at ", h("code", {}, root), ". Nothing but the address differs from Azure."),
    h("h3", {}, "Environment"),
    h("p", {}, "With these variables the DefaultAzureCredential of azure-identity signs in here, and your code stays as it is."),
    code("Variables", `export DICOM_SERVICE_URL=${quoted(root)}
export IDENTITY_ENDPOINT=${quoted(`${root}/_emulator/identity/token`)}
export IDENTITY_HEADER=owner
export AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential`),
    code("Python with azure-identity", `import os

import requests
from azure.identity import DefaultAzureCredential

token = DefaultAzureCredential().get_token("${RESOURCE}/.default").token
response = requests.get(
    os.environ["DICOM_SERVICE_URL"] + "/v2/${route.scope}studies",
    headers={"Authorization": f"Bearer {token}", "Accept": "${JSON_TYPE}"},
)
print(response.status_code, response.text)`),
    h("h3", {}, "Search"),
    code("curl", curl(`${route.scope}studies`, JSON_TYPE)), code("Python", python(`${route.scope}studies`, JSON_TYPE)),
    h("h3", {}, "Store"),
    code("curl", curlStore(route)), code("Python", pythonStore(route)),
  ];
}
