// A connector decides which fields its key has: choosing another one (or another client, whose server decides)
// loads the page again with that choice. Nothing secret has been typed at that point, and none goes into the address.
document.addEventListener("DOMContentLoaded", () => {
  const connector = document.querySelector("select[data-reloads-fields]");
  if (!connector) return;
  const client = document.querySelector("[name=client]");
  const reload = () => {
    const address = new URL(window.location.href);
    address.searchParams.set("connector", connector.value);
    if (client) address.searchParams.set("client", client.value);
    window.location.assign(address);
  };
  connector.addEventListener("change", reload);
  if (client) client.addEventListener("change", () => connector.value && reload());
});
