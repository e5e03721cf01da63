// Talking to the emulator: signed in, and marked so that the request log leaves it out.

import { enc } from "./tools.js";

export const ROOT = new URL("..", location.href.split("#")[0]); // where the service is, also behind a path prefix
export const RESOURCE = "https://dicom.healthcareapis.azure.com";
export const JSON_TYPE = "application/dicom+json";
export const FILE_TYPE = "application/dicom; transfer-syntax=*";
export const MARK = { "X-Emulator-Page": "1" }; // keeps what this page asks for out of the request log

let signedIn; // a promise of { text, expires }

async function token() {
  const known = await signedIn?.catch(() => null);
  if (!known || known.expires < Date.now() + 5000) signedIn = signIn();
  return (await signedIn).text;
}

async function signIn() {
  const headers = { "X-IDENTITY-HEADER": "owner", ...MARK };
  const answer = await (await fetch(`identity/token?resource=${enc(RESOURCE)}`, { headers })).json();
  return { text: answer.access_token, expires: 1000 * answer.expires_on };
}

class Refused extends Error {
  constructor(status, text) {
    super(text || `The emulator answered ${status}.`);
    this.status = status;
  }
}

/** A request to the service, signed in. `path` is below the version. */
export async function ask(path, { accept = JSON_TYPE, headers = MARK, version = "v2", ...more } = {}, again = true) {
  const signature = { Authorization: `Bearer ${await token()}`, Accept: accept };
  const response = await fetch(`../${version}/${path}`, { ...more, headers: { ...headers, ...signature } });
  if (response.status === 401 && again) {
    signedIn = undefined;
    return ask(path, { accept, headers, version, ...more }, false);
  }
  return response;
}

export async function good(response) {
  if (!response.ok) throw new Refused(response.status, await response.text());
  return response;
}

/** The rows of a search. 204 stands for none. */
export async function search(path, signal) {
  const response = await good(await ask(path, { signal }));
  return response.status === 204 ? [] : response.json();
}

/** A request to what only an emulator has. */
export const control = async (path, more = {}) => good(await fetch(path, { ...more, headers: MARK }));

export const post = (path, body) => control(path, { method: "POST", body: body && JSON.stringify(body) });
