
// Sorts and filters samples; without it the page shows all of them, the worst first.
document.documentElement.classList.add("js");
for (const controls of document.querySelectorAll(".controls")) {
  const list = document.getElementById(controls.dataset.list);
  const samples = [...list.children];
  const [order, only, text] = controls.querySelectorAll("select, input");
  const count = controls.querySelector("output");
  const value = (sample, score) => {
    const told = sample.getAttribute("data-score-" + score);
    return told === null || told === "" ? null : Number(told);
  };
  const update = () => {
    const [score, direction] = order.value.split(" ");
    const sorted = [...samples];
    if (score !== "worst") {
      const sign = direction === "lower" ? -1 : 1;
      sorted.sort((a, b) => {
        const [x, y] = [value(a, score), value(b, score)];
        return x === null ? (y === null ? 0 : 1) : y === null ? -1 : sign * (x - y);
      });
    }
    list.append(...sorted);
    const words = text.value.toLowerCase();
    let shown = 0;
    for (const sample of samples) {
      const isOfKind = only.value === "all" || sample.hasAttribute("data-" + only.value);
      const isMeant = !words || sample.textContent.toLowerCase().includes(words);
      sample.hidden = !(isOfKind && isMeant);
      shown += sample.hidden ? 0 : 1;
    }
    count.textContent = shown + " of " + samples.length + " shown";
  };
  for (const control of [order, only, text]) control.addEventListener("input", update);
  update();
}
