// Keeps the ranking up to date: server-sent events, and plain asking where they are refused or cut off.
"use strict";
(() => {
  const table = document.querySelector("[data-live]");
  if (!table || !window.EventSource) return;
  const state = document.querySelector("[data-live-state]");
  const language = document.documentElement.lang.slice(0, 2);
  const { live: period, group, last } = table.dataset;
  const body = table.tBodies[0];
  const frozen = document.querySelector("[data-frozen]");
  const asking = `period=${encodeURIComponent(period)}`;
  const CHINA = 8 * 3600 * 1000;  // no summer time

  function shown(moment) {
    return new Date(Date.parse(moment) + CHINA).toISOString().slice(5, 16).replace("T", " ");
  }

  function cell(tag, kind, content) {
    const made = document.createElement(tag);
    made.className = kind;
    made.append(content);
    return made;
  }

  function lost(points) {
    return points.startsWith("-") ? `+${points.slice(1)}` : points;  // less than nothing is a gain
  }

  const rankOf = (unit) => (group ? unit.group_rank : unit.rank);

  function blank(unit) {
    const made = document.createElement("tr");
    made.dataset.unit = unit.unit;
    const link = document.createElement("a");
    link.href = `/units/${encodeURIComponent(unit.unit)}?${asking}`;
    const heading = cell("th", "", link);
    heading.scope = "row";
    made.append(
      cell("td", "num rank", cell("span", "medal", "")), heading, cell("td", "num score", ""), cell("td", "num lost", ""),
      cell("td", "num wide entries", ""), cell("td", "wide changed", ""),
    );
    return made;
  }

  function write(node, text) {
    if (node.textContent.trim() !== text) node.textContent = text;
  }

  function fill(row, unit, medals) {
    const rank = rankOf(unit);
    const medal = row.querySelector(".medal");
    const score = row.querySelector(".score");
    const moved = score.textContent && score.textContent !== unit.score;
    medal.className = medals && rank <= 3 ? `medal medal-${rank}` : "medal";
    write(medal, String(rank));
    write(row.querySelector("a"), unit.name[language] || unit.name.zh);
    write(score, unit.score);
    write(row.querySelector(".lost"), lost(unit.points_lost));
    write(row.querySelector(".entries"), String(unit.entries));
    write(row.querySelector(".changed"), unit.changed_at ? shown(unit.changed_at) : "—");
    row.classList.toggle("moved", Boolean(moved));
  }

  // Somebody reads or tabs through the table: rows must not move under their finger.
  function busy() {
    return table.contains(document.activeElement) || (matchMedia("(hover: hover)").matches && table.matches(":hover"));
  }

  let held = null;  // the order of rows for when nobody is there

  function arrange(units, medals) {
    const rows = new Map([...body.rows].map((row) => [row.dataset.unit, row]));
    const wanted = units.map((unit) => {
      const row = rows.get(unit.unit) ?? blank(unit);
      if (!rows.has(unit.unit)) fill(row, unit, medals);
      return row;
    });
    [...body.rows].filter((row) => !wanted.includes(row)).forEach((row) => row.remove());
    wanted.forEach((row, place) => { if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null); });
  }

  function show(ranking) {
    if (frozen) frozen.hidden = !ranking.frozen;
    let units = group ? ranking.standings.filter((unit) => unit.group === group) : ranking.standings;
    const medals = units.length > 3 && rankOf(units[3]) > 3;
    const known = new Map(units.map((unit) => [unit.unit, unit]));
    [...body.rows].forEach((row) => { if (known.has(row.dataset.unit)) fill(row, known.get(row.dataset.unit), medals); });
    if (Number(last)) units = units.slice(-Number(last)).reverse();
    held = () => arrange(units, medals);
    settle();
  }

  function settle() {
    if (held && !busy()) {
      held();
      held = null;
    }
  }

  // Where the focus goes next is known only afterwards.
  table.addEventListener("focusout", () => setTimeout(settle));
  table.addEventListener("pointerleave", settle);

  function showState(on) {
    if (!state) return;
    state.hidden = false;
    state.classList.toggle("off", !on);
    state.textContent = on ? state.dataset.on : state.dataset.off;
  }

  async function ask() {
    try {
      const answer = await fetch(`/api/ranking?${asking}`);
      if (answer.ok) show(await answer.json());
    } catch { /* the next try tells */ }
  }

  function follow() {
    const source = new EventSource(`/ranking/events?${asking}`);
    source.onopen = () => showState(true);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.onerror = () => {
      showState(false);
      if (source.readyState === EventSource.CLOSED) {
        ask();
        setTimeout(follow, 15000);
      }
    };
  }

  follow();
})();
