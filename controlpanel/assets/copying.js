// Copies what a page shows once. Where no script is let near the clipboard (a panel without TLS, a browser that was told
// so), it selects the text: only the keys are left to press.
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
