// Runs the script of the page behind a link as a browser would: the address bar, the button and the request are what they are there.
// TOKEN, SITE and LINK are the environment's; the script is the argument.

"use strict";

const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const vm = require("node:vm");

const { TOKEN, SITE, LINK } = process.env;
const address = new URL(LINK, SITE);
let pressed;
const form = { addEventListener: (_, action) => (pressed = action), remove: () => (form.isGone = true) };
const button = { disabled: false };
const outcome = { textContent: "" };
const requests = [];

const page = {
  location: address,
  history: { replaceState: (_state, _title, path) => (page.shown = path) },
  document: {
    querySelector: (name) => ({ form, button })[name],
    getElementById: () => outcome,
  },
  fetch: (path, options) => {
    requests.push([path, options.method]);
    return fetch(new URL(path, SITE), options);
  },
  URLSearchParams,
};

(async () => {
  vm.runInNewContext(readFileSync(process.argv[2], "utf8"), page);
  assert.strictEqual(page.shown, address.pathname);
  assert.deepStrictEqual(requests, []);
  await pressed({ preventDefault() {} });
  assert.deepStrictEqual(requests, [[address.pathname, "POST"]]);
  assert.strictEqual(outcome.textContent, "The address is confirmed.");
  assert.ok(form.isGone && !outcome.textContent.includes(TOKEN));
})();
