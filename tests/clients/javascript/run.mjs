// Makes calls of dicomweb-client one after another and prints what came of each.
//
// Standard input: {"client": options of DICOMwebClient, "calls": [{"method": name, "options": {...}}, ...]}.
// Data sets go in, and binary results come out, as base64. A call that fails gives {"error": message, status, text}.
import { text } from 'node:stream/consumers';
import XHR from 'xhr2';
import dicomweb from 'dicomweb-client';

// As every browser does (XMLHttpRequest standard, send()): Accept: */* where nobody asked for anything.
globalThis.XMLHttpRequest = class extends XHR {
  setRequestHeader(name, value) {
    this.asked ||= name.toLowerCase() === 'accept';
    super.setRequestHeader(name, value);
  }

  send(data) {
    if (!this.asked) super.setRequestHeader('Accept', '*/*');
    super.send(data);
  }
};

// Standard output is for the outcomes; the client writes notes of its own.
console.debug = console.error;

const bytes = base64 => Uint8Array.from(Buffer.from(base64, 'base64')).buffer;

function printable(value) {
  if (value instanceof ArrayBuffer) {
    const { contentType, transferSyntaxUID } = value;
    return { base64: Buffer.from(value).toString('base64'), contentType, transferSyntaxUID };
  }
  return Array.isArray(value) ? value.map(printable) : value;
}

async function outcome(client, { method, options = {} }) {
  if (options.datasets) options.datasets = options.datasets.map(bytes);
  try {
    return printable(await client[method](options));
  } catch (error) {
    const { status, response } = error;
    const body = response instanceof ArrayBuffer ? Buffer.from(response).toString() : response;
    return { error: error.message, status, text: body };
  }
}

const { client: settings, calls } = JSON.parse(await text(process.stdin));
const client = new dicomweb.api.DICOMwebClient({ verbose: false, ...settings });
const outcomes = [];
for (const call of calls) outcomes.push(await outcome(client, call));
console.log(JSON.stringify(outcomes));
