"use strict";
// The server writes the whole page; this asks for it again every two seconds and takes over what has
// changed, so that focus, selection and open parts stay. Rates come from what was counted before.
const pause = 2000, patience = 5000, remembered = 60;
const counts = new Map();
let timer = 0;

// Makes `old` like `fresh`, in place where the element is the same.
function morph(old, fresh) {
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  const [now, next] = [[...old.childNodes], [...fresh.childNodes]];
  next.forEach((node, place) => {
    const known = now[place];
    if (!known) old.append(document.importNode(node, true));
    else if (known.nodeName !== node.nodeName) known.replaceWith(document.importNode(node, true));
    else if (node.nodeType === Node.ELEMENT_NODE) morph(known, node);
    else if (known.nodeValue !== node.nodeValue) known.nodeValue = node.nodeValue;
  });
  for (const node of now.slice(next.length)) node.remove();
}

function line(rates) {
  const most = Math.max(...rates, 1);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${remembered - 2} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const points = rates.map((rate, at) =>
    `${remembered - 1 - rates.length + at},${(19 - 18 * rate / most).toFixed(1)}`);
  const drawn = document.createElementNS(svg.namespaceURI, "polyline");
  drawn.setAttribute("points", points.join(" "));
  svg.append(drawn);
  return svg;
}

// Fills in the rates of a page that has just come.
function rate(page, time) {
  const seen = new Set();
  for (const cell of page.querySelectorAll("[data-rate]")) {
    const key = cell.dataset.rate, value = Number(cell.dataset.count);
    const known = counts.get(key) ?? [];
    // One that has gone back began anew: the process did.
    if (known.length && value < known.at(-1).value) known.length = 0;
    known.push({ time, value });
    if (known.length > remembered) known.shift();
    counts.set(key, known);
    seen.add(key);
    const rates = known.slice(1).map((one, at) =>
      1000 * (one.value - known[at].value) / (one.time - known[at].time));
    if (!rates.length) continue;
    const last = rates.at(-1);
    const text = last > 0 && last < 10 ? last.toFixed(1) : Math.round(last).toLocaleString("en");
    const box = document.createElement("div");
    box.textContent = text.replaceAll(",", "\u202f");
    if (cell.dataset.line === "yes") box.append(line(rates));
    cell.replaceChildren(box);
  }
  for (const key of counts.keys()) if (!seen.has(key)) counts.delete(key);
}

function say(text) {
  const note = document.getElementById("note");
  document.documentElement.classList.toggle("lost", text !== "");
  if (note.textContent !== text) note.textContent = text;
  note.hidden = text === "";
}

async function look() {
  clearTimeout(timer);
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(patience) });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    rate(page, performance.now());
    document.title = page.title;
    for (const part of ["verdict", "as-of", "main"])
      morph(document.getElementById(part), page.getElementById(part));
    say("");
  } catch {
    const since = document.querySelector("#as-of time")?.textContent ?? "";
    say(`No answer: what is shown is of ${since}. It is tried again every two seconds.`);
    const verdict = document.getElementById("verdict");
    verdict.className = "verdict wait";
    verdict.textContent = "▲ no answer";
    document.title = "▲ no answer – psql-streamer";
  }
  if (!document.hidden) timer = setTimeout(look, pause);
}

document.documentElement.classList.add("live");
rate(document, performance.now());
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
timer = setTimeout(look, pause);
