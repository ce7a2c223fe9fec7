// Figures under the pointer. The page is complete without this: each chart has its table.
for (const figure of document.querySelectorAll("figure.chart")) {
  const area = figure.querySelector(".area");
  const heads = [...figure.querySelectorAll("thead th")].map((cell) => cell.textContent);
  const rows = [...figure.querySelectorAll("tbody tr")];
  if (!rows.length) continue;
  const cursor = Object.assign(document.createElement("div"), { className: "cursor", hidden: true });
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  area.append(cursor, tip);
  const places = rows.map((row) => Number(row.dataset.at));
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    const at = (100 * (event.clientX - box.left)) / box.width;
    let nearest = 0;
    places.forEach((place, i) => {
      if (Math.abs(place - at) < Math.abs(places[nearest] - at)) nearest = i;
    });
    tip.replaceChildren(
      ...[...rows[nearest].cells].map((cell, i) => {
        const line = document.createElement("div");
        const value = document.createElement("b");
        value.textContent = cell.textContent;
        line.append(heads[i] + " ", value);
        return line;
      }),
    );
    cursor.hidden = tip.hidden = false;
    cursor.style.left = places[nearest] + "%";
    const left = (box.width * places[nearest]) / 100;
    const room = left + tip.offsetWidth + 12 < box.width;
    tip.style.left = Math.max(0, room ? left + 10 : left - tip.offsetWidth - 10) + "px";
  });
  area.addEventListener("pointerleave", () => {
    cursor.hidden = tip.hidden = true;
  });
}
