// Copies a value that a page shows only once. If scripts can't use the clipboard (no TLS, or a browser setting), it selects
// the text, so that the user only has to press the keys.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-copies]")) {
    const field = document.getElementById(button.dataset.copies);
    const status = document.getElementById(`${button.dataset.copies}-copied`);
    const keys = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘C" : "Ctrl+C";
    button.hidden = false;
    button.addEventListener("click", async () => {
      status.textContent = "";
      try {
        await navigator.clipboard.writeText(field.value);
        status.textContent = "Copied.";
      } catch {
        field.focus();
        field.select();
        status.textContent = `Selected. Press ${keys} to copy.`;
      }
    });
  }
});
