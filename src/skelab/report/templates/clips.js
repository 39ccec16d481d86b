// A click on a wrong square, or on a row of the most confused, shows the clips behind it.
(() => {
  const data = JSON.parse(document.getElementById("confused-data").textContent);
  const box = document.getElementById("confused-clips");
  const [title, names, shown] = box.children;

  function show(name) {
    for (const button of names.children) button.setAttribute("aria-pressed", button.textContent === name);
    const clip = data.clips[name];
    const element = document.createElement("div");
    shown.replaceChildren(element);
    if (clip) return globalThis.mountPlayer(element, clip);
    const code = document.createElement("code");
    code.textContent = `${data.command} ${name}`;
    element.append("This page does not hold that clip. To see it: ", code);
  }

  function open(pair) {
    const [truth, prediction] = pair.split("-").map((place) => data.classes[place]);
    const { count, names: listed } = data.pairs[pair];
    const more = count > listed.length ? `, ${listed.length} of them here` : "";
    title.textContent = `${truth}, predicted as ${prediction}: ${count} clip${count === 1 ? "" : "s"}${more}`;
    names.replaceChildren(...listed.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => show(name));
      return button;
    }));
    box.hidden = false;
    show(listed[0]);
    title.focus({ preventScroll: true });
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    box.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
  }

  for (const part of document.querySelectorAll("#confusion [data-pair]")) {
    if (!data.pairs[part.dataset.pair]) continue;
    part.classList.add("leads");
    part.addEventListener("click", () => open(part.dataset.pair));
  }
})();
