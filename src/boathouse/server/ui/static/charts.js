// Draws a monitor's charts when the first of them comes into view; the library is loaded then, and once.

const dark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--soft").trim();
  const line = style.getPropertyValue("--line").trim();
  return {
    background: "transparent",
    font: style.fontFamily,
    view: { stroke: null },
    axis: { labelColor: ink, titleColor: ink, domainColor: line, tickColor: line, gridColor: line, labelFontSize: 11, labelLimit: 220 },
    legend: { labelColor: ink, titleColor: ink, labelFontSize: 11, titleFontSize: 11 },
    rect: { cursor: "default" },
  };
}

async function draw(holder) {
  const [answer] = await Promise.all([
    fetch(holder.dataset.source, { redirect: "error" }),
    window.vegaEmbed ? null : import(holder.dataset.vega),
  ]);
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const specs = await answer.json();
  for (const place of holder.querySelectorAll("[data-chart]")) {
    const spec = specs[place.dataset.chart];
    if (!spec) {
      place.textContent = "There are no numbers for this chart.";
      continue;
    }
    await window.vegaEmbed(place, spec, { actions: false, ast: true, renderer: "svg", defaultStyle: false, config: theme() });
  }
}

async function show(holder) {
  try {
    await draw(holder);
  } catch (error) {
    for (const place of holder.querySelectorAll("[data-chart]"))
      place.textContent = `The chart could not be drawn (${error.message}); its numbers are in the table below.`;
  }
}

for (const holder of document.querySelectorAll(".charts")) {
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    show(holder);
    dark.addEventListener("change", () => show(holder));
  });
  seen.observe(holder);
}
