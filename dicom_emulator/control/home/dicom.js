// Data sets as DICOM JSON: what is in them, and how people read it.

import { MARK } from "./service.js";

export const TAG = {
  SOPClassUID: "00080016", SOPInstanceUID: "00080018", StudyDate: "00080020", AccessionNumber: "00080050",
  Modality: "00080060", ModalitiesInStudy: "00080061", StudyDescription: "00081030", SeriesDescription: "0008103E",
  PatientName: "00100010", PatientID: "00100020", PatientBirthDate: "00100030", StudyInstanceUID: "0020000D",
  SeriesInstanceUID: "0020000E", SeriesNumber: "00200011", InstanceNumber: "00200013", NumberOfFrames: "00280008",
  Rows: "00280010", Columns: "00280011", StudyInstances: "00201208", SeriesInstances: "00201209",
  State: "00741000", Label: "00741204",
};

const MODALITIES = {
  CR: "X-ray", CT: "computed tomography", DX: "X-ray", ECG: "electrocardiogram", ES: "endoscopy", IO: "dental X-ray",
  MG: "mammography", MR: "magnetic resonance", NM: "nuclear medicine", OCT: "optical coherence tomography",
  OP: "ophthalmic photograph", PT: "PET", PX: "dental X-ray", RF: "fluoroscopy", RTDOSE: "radiotherapy dose",
  RTPLAN: "radiotherapy plan", RTSTRUCT: "radiotherapy structures", SEG: "segmentation", SM: "slide microscopy",
  SR: "report", US: "ultrasound", XA: "angiography", XC: "photograph",
};

export const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined); // keys come from files
export const values = (dataset, tag) => dataset[tag]?.Value ?? [];
export const first = (dataset, tag) => textOf(values(dataset, tag)[0]);

export function textOf(value) {
  if (value == null) return "";
  if (typeof value !== "object") return String(value);
  return value.Alphabetic ?? value.Ideographic ?? value.Phonetic ?? JSON.stringify(value);
}

/** Family^Given^Middle as people write it. */
export function person(dataset) {
  const [family, ...given] = first(dataset, TAG.PatientName).split("^").map((part) => part.trim());
  return [family, given.filter(Boolean).join(" ")].filter(Boolean).join(", ") || "No name";
}

export const day = (text) => text.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
export const tagText = (tag) => `(${tag.slice(0, 4)},${tag.slice(4)})`.toLowerCase();
export const modality = (name) => [name, own(MODALITIES, name)].filter(Boolean).join(", ");

let names; // keywords by tag and names by UID, fetched when the first tree is shown
export const dictionary = () => (names ??= fetch("dictionary.json", { headers: MARK }).then((answer) => answer.json()));
