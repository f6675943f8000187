// Each strategy has its own group of settings in the form: show the chosen one's.
document.addEventListener("DOMContentLoaded", () => {
  const strategy = document.querySelector("[name=strategy]");
  if (!strategy) return;
  const show = () => {
    for (const group of document.querySelectorAll("[class*=settings-of-]")) {
      group.hidden = !group.classList.contains(`settings-of-${strategy.value}`);
    }
  };
  strategy.addEventListener("change", show);
  show();
});
