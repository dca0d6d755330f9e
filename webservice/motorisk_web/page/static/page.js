// The what-if sliders. Everything else on the page works without this file.
"use strict";

const PAUSE = 150; // milliseconds without a move before the price is asked for
const section = document.getElementById("what-if");

if (section) {
  const { lang } = document.documentElement;
  const given = section.dataset;
  const money = new Intl.NumberFormat(lang, { style: "currency", currency: given.currency });
  const difference = new Intl.NumberFormat(lang, { style: "currency", currency: given.currency, signDisplay: "always" });
  const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
  let needsKey = false;

  // The API's address; where that asks for a client's key, the page's own, which asks for its token.
  const ask = async (feature, value, signal) => {
    const address = needsKey ? given.ownAddress : given.address;
    const body = JSON.stringify({ ...JSON.parse(given.body), changes: [{ feature, value }] });
    const headers = { "Content-Type": "application/json", "Accept-Language": lang };
    if (needsKey) headers["X-Page-Token"] = given.token;
    const response = await fetch(address, { method: "POST", headers, body, signal });
    if (response.status === 401 && !needsKey) {
      needsKey = true;
      return ask(feature, value, signal);
    }
    if (!response.ok) throw new Error(String(response.status));
    return (await response.json()).changes[0];
  };

  const rows = [...section.querySelectorAll(".change")].map((row) => {
    const input = row.querySelector("input");
    const [shown, premium, change] = [".value", ".premium", ".difference"].map((name) => row.querySelector(name));
    const isFlag = input.type === "checkbox";
    const quoted = { value: input.value, checked: input.checked };
    let timer, asked;

    const words = () => (isFlag ? (input.checked ? given.yes : given.no) : `${number.format(input.valueAsNumber)} ${row.dataset.unit}`);
    const stop = () => {
      clearTimeout(timer);
      if (asked) asked.abort();
    };
    const reset = () => {
      stop();
      input.value = quoted.value;
      input.checked = quoted.checked;
      shown.textContent = shown.dataset.quoted;
      input.removeAttribute("aria-valuetext");
      premium.textContent = given.asQuoted;
      change.textContent = "";
      row.classList.remove("changed");
    };
    const price = async () => {
      asked = new AbortController();
      try {
        const found = await ask(row.dataset.feature, isFlag ? input.checked : input.valueAsNumber, asked.signal);
        const rules = found.predictor === "rules" ? `, ${given.byRules}` : "";
        premium.textContent = money.format(found.premium.gross);
        change.textContent = `${difference.format(found.gross_difference).replace("-", "−")}${rules}`;
      } catch (error) {
        if (error.name === "AbortError") return;
        premium.textContent = given.noAnswer;
        change.textContent = "";
      }
      row.classList.add("changed");
    };
    input.addEventListener("input", () => {
      stop();
      shown.textContent = words();
      if (!isFlag) input.setAttribute("aria-valuetext", words());
      if (isFlag && input.checked === quoted.checked) reset();
      else timer = setTimeout(price, PAUSE);
    });
    return { reset };
  });

  document.getElementById("reset").addEventListener("click", () => rows.forEach((row) => row.reset()));
  section.hidden = false;
}

// Screen readers go on where the answer is; without this the address' #answer only scrolls there.
document.getElementById("answer")?.focus({ preventScroll: true });
