// The page behind a link that confirms an address. To open it does nothing, since programs that look through mail open every link; the
// button does. The secret leaves the address bar at once, and goes back to the same path in the body of a POST.

"use strict";

const token = new URLSearchParams(location.search).get("token");
history.replaceState(null, "", location.pathname);

const form = document.querySelector("form");
const button = document.querySelector("button");
const outcome = document.getElementById("outcome");

const explain = (detail) =>
  Array.isArray(detail) ? detail.map((field) => field.msg).join(" ") : detail || "That did not work. Please try again later.";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  outcome.textContent = "";
  try {
    const answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    const body = await answer.json();
    outcome.textContent = answer.ok ? "The address is confirmed." : explain(body.detail);
    if (answer.ok) form.remove();
  } catch {
    outcome.textContent = explain();
  }
  button.disabled = false;
});

if (!token) {
  form.remove();
  outcome.textContent = "This page is opened by the link in a mail.";
}
