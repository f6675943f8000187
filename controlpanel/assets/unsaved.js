// What somebody has entered and not saved is not left behind without a question: the other tabs are a click away.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("#content-main > form");
  if (!form) return;
  // What was refused comes back as it was entered, and is not saved either.
  let unsaved = form.querySelector(".errornote") !== null;
  form.addEventListener("input", () => (unsaved = true));
  form.addEventListener("submit", () => (unsaved = false));
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });
});
