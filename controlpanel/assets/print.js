// The report's button: the browser's own dialog prints it, or saves it as a PDF.
document.querySelector("[data-print]")?.addEventListener("click", () => window.print());
