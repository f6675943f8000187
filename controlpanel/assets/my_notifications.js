// What only the reader's browser knows: whether it may show notifications, and in which time zone it is.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("my-notifications");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (form.dataset.new === "yes" && [...form.time_zone.options].some(({ value }) => value === zone)) {
    form.time_zone.value = zone;
  }

  const state = document.getElementById("browser-permission");
  if (!("Notification" in window)) {
    state.textContent = "This browser can't show notifications here. It takes a page with https.";
    return;
  }
  const allow = document.getElementById("allow-browser");
  const test = document.getElementById("test-browser");
  const sentences = {
    default: "Not allowed in this browser yet.",
    denied: "Blocked in this browser. Allow notifications for this page in its settings.",
    granted: "Allowed in this browser.",
  };
  const show = () => {
    state.textContent = sentences[Notification.permission];
    allow.hidden = Notification.permission !== "default";
    test.hidden = Notification.permission !== "granted";
  };
  document.getElementById("browser-buttons").hidden = false;
  allow.addEventListener("click", async () => {
    await Notification.requestPermission();
    show();
  });
  test.addEventListener("click", () => {
    try {
      new Notification("Test from the Hummingbot control panel", { body: "This browser shows notifications." });
      state.textContent = "Sent. If nothing appeared, check the notification settings of your computer.";
    } catch {
      state.textContent = "This browser shows no notifications of a page. Use Telegram or e-mail on a phone.";
    }
  });
  show();
});
