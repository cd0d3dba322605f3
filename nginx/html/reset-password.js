// The page behind the link for a forgotten password. The secret is the part of the address behind the #, which a browser sends to
// nobody; it leaves the address bar at once, and goes to /auth/password/reset with the new password.

"use strict";

const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

const form = document.querySelector("form");
const password = document.getElementById("password");
const again = document.getElementById("again");
const button = form.querySelector("button");
const outcome = document.getElementById("outcome");

const explain = (detail) =>
  Array.isArray(detail) ? detail.map((field) => field.msg).join(" ") : detail || "That did not work. Please try again later.";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (password.value !== again.value) {
    outcome.textContent = "The two passwords are not the same.";
    return;
  }
  button.disabled = true;
  outcome.textContent = "";
  try {
    const answer = await fetch("/auth/password/reset", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, password: password.value }),
    });
    const body = await answer.json();
    outcome.textContent = answer.ok ? "The password is set. You can log in with it now." : explain(body.detail);
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
