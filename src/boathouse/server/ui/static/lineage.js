// Lineage: zoom and drag, light up what hangs together, and change the look without loading the page anew.

const place = document.getElementById("lineage");
const form = document.getElementById("look");
let scale = 1;

function stage() {
  return place.querySelector(".stage");
}

function zoom(to, x, y) {
  const box = stage();
  const svg = box?.querySelector("svg");
  if (!svg) return;
  const before = scale;
  scale = Math.min(2.5, Math.max(0.15, to));
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  svg.setAttribute("width", width * scale);
  svg.setAttribute("height", height * scale);
  const left = x ?? box.clientWidth / 2;
  const top = y ?? box.clientHeight / 2;
  box.scrollLeft = ((box.scrollLeft + left) / before) * scale - left;
  box.scrollTop = ((box.scrollTop + top) / before) * scale - top;
}

function fit() {
  const box = stage();
  const svg = box?.querySelector("svg");
  if (!svg) return;
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  zoom(Math.min(1, (box.clientWidth - 20) / width, Math.max(box.clientHeight, innerHeight * 0.7) / height));
}

// Readable first: as a whole where that fits, else around the start.
function settle() {
  const box = stage();
  const svg = box?.querySelector("svg");
  if (!svg) return;
  scale = 1;
  fit();
  if (scale < 0.6) zoom(0.75);
  const start = svg.querySelector(`[data-key="${CSS.escape(box.dataset.start)}"]`);
  if (!start) return;
  const at = start.getBoundingClientRect();
  const frame = box.getBoundingClientRect();
  box.scrollLeft += at.left - frame.left - (frame.width - at.width) / 2;
  box.scrollTop += at.top - frame.top - (frame.height - at.height) / 2;
}

// All that leads to a node or comes from it; from a row, along the lines of columns.
function reached(svg, key, row, back) {
  const [near, far, nearRow, farRow] = back ? ["to", "from", "toRow", "fromRow"] : ["from", "to", "fromRow", "toRow"];
  const found = new Set();
  const waiting = [[key, row]];
  const seen = new Set();
  while (waiting.length) {
    const [node, column] = waiting.pop();
    for (const edge of svg.querySelectorAll(".edge")) {
      if (edge.dataset[near] !== node || (column && edge.dataset[nearRow] !== column)) continue;
      found.add(edge);
      const next = [edge.dataset[far], column ? edge.dataset[farRow] : undefined];
      const id = next.join("\n");
      if (!seen.has(id)) {
        seen.add(id);
        waiting.push(next);
      }
    }
  }
  return found;
}

function light(target) {
  const svg = stage()?.querySelector("svg");
  if (!svg) return;
  for (const one of svg.querySelectorAll(".lit")) one.classList.remove("lit");
  const node = target?.closest?.("[data-key]");
  svg.classList.toggle("tracing", Boolean(node));
  if (!node) return;
  const row = target.closest("[data-row]")?.dataset.row;
  const edges = [...reached(svg, node.dataset.key, row, false), ...reached(svg, node.dataset.key, row, true)];
  node.classList.add("lit");
  for (const edge of edges) {
    edge.classList.add("lit");
    for (const end of [edge.dataset.from, edge.dataset.to])
      svg.querySelector(`[data-key="${CSS.escape(end)}"]`)?.classList.add("lit");
  }
}

async function show(address, push) {
  const part = await fetch(address, { headers: { "X-Part": "1" }, redirect: "error" });
  if (!part.headers.get("Content-Type")?.startsWith("text/html")) return location.assign(address);
  place.innerHTML = await part.text();
  if (push) history.pushState(null, "", address);
  const asked = new URL(address, location.href).searchParams;
  form.elements.namedItem("name").value = asked.get("name") ?? "";
  for (const kept of form.querySelectorAll("input[name=open]")) kept.remove();
  for (const key of asked.getAll("open")) {
    const kept = Object.assign(document.createElement("input"), { type: "hidden", name: "open", value: key });
    form.append(kept);
  }
  settle();
}

function look() {
  const given = [...new FormData(form)].filter(([, value]) => value !== "");
  show(`/lineage?${new URLSearchParams(given)}`, true);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  look();
});
form.addEventListener("change", (event) => {
  if (form.elements.namedItem("name").value && event.target.name !== "name") look();
});
addEventListener("popstate", () => show(location.href, false));

place.addEventListener("click", (event) => {
  const button = event.target.closest("[data-zoom]");
  if (button) return button.dataset.zoom === "fit" ? fit() : zoom(scale * (button.dataset.zoom === "in" ? 1.25 : 0.8));
  const link = event.target.closest("a");
  const address = link && (link.href.baseVal ?? link.href);
  if (!address || dragged || event.ctrlKey || event.metaKey || event.shiftKey) return dragged && event.preventDefault();
  if (new URL(address, location.href).pathname === "/lineage") {
    event.preventDefault();
    show(address, true);
  }
});
place.addEventListener("pointerover", (event) => !drag && light(event.target));
place.addEventListener("pointerleave", () => light(null));
place.addEventListener("focusin", (event) => light(event.target));
place.addEventListener("wheel", (event) => {
  const box = stage();
  if (!box?.contains(event.target) || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  const frame = box.getBoundingClientRect();
  zoom(scale * Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
}, { passive: false });

let drag = null;
let dragged = false;
place.addEventListener("pointerdown", (event) => {
  const box = stage();
  dragged = false;
  if (!box?.contains(event.target) || event.button) return;
  drag = { x: event.clientX, y: event.clientY, left: box.scrollLeft, top: box.scrollTop };
});
addEventListener("pointermove", (event) => {
  const box = stage();
  if (!drag || !box) return;
  const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!dragged && Math.hypot(x, y) < 4) return;
  dragged = true;
  box.classList.add("dragging");
  box.scrollLeft = drag.left - x;
  box.scrollTop = drag.top - y;
});
addEventListener("pointerup", () => {
  drag = null;
  stage()?.classList.remove("dragging");
});
place.addEventListener("dragstart", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  if (event.target !== stage()) return;
  const change = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
  if (change) zoom(scale * change);
  if (event.key === "0") fit();
});

settle();
