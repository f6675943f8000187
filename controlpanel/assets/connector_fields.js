// A connector decides which fields its key has: choosing another one (or another client, whose server decides)
// loads the page again with that choice. What was typed until then is lost, for nothing secret goes into the address:
// so it asks first.
document.addEventListener("DOMContentLoaded", () => {
  const connector = document.querySelector("select[data-reloads-fields]");
  if (!connector) return;
  const client = document.querySelector("[name=client]");
  const choices = [connector, client].filter(Boolean);
  const before = new Map(choices.map((choice) => [choice, choice.value]));
  const typed = "input[type=password], input[type=text], input[type=number]";
  const hasTyped = () => [...connector.form.querySelectorAll(typed)].some((field) => field.value);
  const reload = () => {
    const address = new URL(window.location.href);
    choices.forEach((choice) => address.searchParams.set(choice.name, choice.value));
    window.location.assign(address);
  };
  choices.forEach((choice) =>
    choice.addEventListener("change", () => {
      if (!connector.value && choice === client) return;
      if (hasTyped() && !window.confirm("The values that you entered will be lost. Continue?")) {
        choice.value = before.get(choice);
        return;
      }
      reload();
    }),
  );
});
