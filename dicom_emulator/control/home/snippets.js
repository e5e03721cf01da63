// The requests behind what is shown, for a shell and for Python.

import { JSON_TYPE, RESOURCE, ROOT } from "./service.js";
import { copy, h } from "./tools.js";

export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const tokenUrl = () => `${ROOT}_emulator/identity/token?resource=${RESOURCE}`;

export const curlSignIn = () => `TOKEN=$(curl -s -H "X-IDENTITY-HEADER: owner" \\
  ${quoted(tokenUrl())} \\
  | python3 -c "import json, sys; print(json.load(sys.stdin)['access_token'])")`;

const pythonSignIn = () => `import requests

service = ${JSON.stringify(ROOT.href.replace(/\/$/, ""))}
sign_in = requests.get(
    service + "/_emulator/identity/token",
    params={"resource": "${RESOURCE}"},
    headers={"X-IDENTITY-HEADER": "owner"},
)
token = sign_in.json()["access_token"]
`;

export function curl(path, accept, file) {
  return `${curlSignIn()}
curl -H "Authorization: Bearer $TOKEN" \\
  -H ${quoted(`Accept: ${accept}`)} \\
  ${file ? `-o ${file} ` : ""}${quoted(`${ROOT}v2/${path}`)}`;
}

export function python(path, accept, file) {
  const use = file
    ? `with open("${file}", "wb") as file:\n    file.write(response.content)`
    : "print(response.status_code)\nprint(response.text)";
  return `${pythonSignIn()}
response = requests.get(
    service + ${JSON.stringify(`/v2/${path}`)},
    headers={"Authorization": f"Bearer {token}", "Accept": ${JSON.stringify(accept)}},
)
${use}`;
}

export function code(label, text) {
  return h("figure", { class: "code" },
    h("figcaption", {}, h("span", {}, label),
      h("button", { type: "button", class: "quiet", click: () => copy(text, label) },
        "Copy", h("span", { class: "hidden" }, ` ${label}`))),
    h("pre", { tabindex: "0", role: "region", "aria-label": label }, text));
}

/** A closed box with the request behind what is shown, for a shell and for Python. */
export function asCode(summary, path, accept, file) {
  return h("details", { class: "as-code" },
    h("summary", {}, summary, " ", h("code", {}, `GET /v2/${path}`)),
    h("p", {}, "Clients sign in first. The emulator hands a token to anybody at this machine who names a role: ",
      h("code", {}, "owner"), " may do everything, ", h("code", {}, "reader"), " may read."),
    code("curl", curl(path, accept, file)), code("Python", python(path, accept, file)));
}

export const curlStore = (route) => `${curlSignIn()}
curl -H "Authorization: Bearer $TOKEN" \\
  -H "Accept: ${JSON_TYPE}" -H "Content-Type: application/dicom" \\
  --data-binary @scan.dcm ${quoted(`${ROOT}v2/${route.scope}studies`)}`;

export const pythonStore = (route) => `${pythonSignIn()}
with open("scan.dcm", "rb") as file:
    response = requests.post(
        service + ${JSON.stringify(`/v2/${route.scope}studies`)},
        data=file,
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "${JSON_TYPE}",
            "Content-Type": "application/dicom",
        },
    )
print(response.status_code)`;
