// What the entered numbers mean at the market's price: an amount with its value, spreads as the prices of the first
// orders. The price is the one that the page shows, with its time.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-wizard]");
  const pair = form?.elements.trading_pair;
  if (!pair) return;
  const market = () => document.getElementById("market");
  const digits = (value, count = 6) => value.toLocaleString("en-US", { maximumSignificantDigits: count });
  const visible = (selector) => [...form.querySelectorAll(selector)].find((field) => field.checkVisibility());

  // As the server reads it: 0.3 %, 30 bps, a comma for a point; of several values the first. See core/input/numbers.py.
  function number(text) {
    const first = text.includes(", ") ? text.split(",")[0] : text;
    const match = first.replace(/\s/g, "").match(/^(\d*[.,]?\d+)(%|bps?)?$/i);
    if (!match || /^[1-9]\d{0,2},\d{3}$/.test(match[1])) return NaN;
    const divisor = { "%": 100, bp: 10000, bps: 10000 }[(match[2] || "").toLowerCase()] || 1;
    return Number(match[1].replace(",", ".")) / divisor;
  }

  function hint(field) {
    const found = field.parentElement.querySelector(".panel-hint");
    if (found) return found;
    const made = document.createElement("p");
    made.className = "panel-hint";
    made.setAttribute("role", "status");
    field.after(made);
    return made;
  }

  function show() {
    const price = Number(market().dataset.price) || NaN;
    const [base, quote] = (market().dataset.pair || "-").split("-");
    const amount = visible("[data-amount=base]");
    if (amount) {
      const size = number(amount.value);
      const isKnown = size > 0 && price && base;
      hint(amount).textContent = isKnown ? `${digits(size, 10)} ${base} ≈ ${digits(size * price, 4)} ${quote}` : "";
    }
    const preview = document.getElementById("market-preview");
    if (!preview) return;
    const sides = ["bid", "ask"].map((side) => {
      const field = visible(`[data-spread=${side}]`);
      const spread = field ? number(field.value) : NaN;
      return spread > 0 && spread < 1 ? price * (side === "bid" ? 1 - spread : 1 + spread) : NaN;
    });
    preview.hidden = sides.some(Number.isNaN);
    preview.textContent = preview.hidden ? "" : `Bid ${digits(sides[0], 5)} · Ask ${digits(sides[1], 5)}`;
  }

  // The answer to an earlier question may come after the one to the button, and would hide that it works on it.
  const SETTLES = 3000;
  let pressedAt = 0;
  let waiting;
  const ask = (delay) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => market().dispatchEvent(new Event("market-changed")), delay);
  };

  form.addEventListener("input", show);
  form.addEventListener("change", ({ target }) => {
    // With a delay: going from the pair to the button is one step.
    if (["connector", "trading_pair"].includes(target.name)) ask(300);
    show();
  });
  form.addEventListener("click", ({ target }) => {
    if (target.closest("[data-loads-market]")) {
      clearTimeout(waiting);
      pressedAt = Date.now();
    }
    const taken = target.closest("[data-takes-pair]");
    if (!taken) return;
    pair.value = taken.dataset.takesPair;
    pair.focus();
    pair.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("htmx:afterSettle", () => {
    // Another market may have been chosen while the answer was on its way.
    const { connector, typed, loading } = market().dataset;
    const chosen = form.querySelector("[name=connector]:checked")?.value ?? "";
    if (connector !== chosen || typed !== pair.value) ask(300);
    else if (!loading && Date.now() - pressedAt < SETTLES) ask(1000);
    show();
  });
  show();
});
