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

  function row(unit, rank, medals) {
    const made = document.createElement("tr");
    made.dataset.unit = unit.unit;
    const medal = cell("span", medals && rank <= 3 ? `medal medal-${rank}` : "medal", String(rank));
    const link = document.createElement("a");
    link.href = `/units/${encodeURIComponent(unit.unit)}?${asking}`;
    link.textContent = unit.name[language] || unit.name.zh;
    const heading = cell("th", "", link);
    heading.scope = "row";
    const changed = unit.changed_at ? shown(unit.changed_at) : "—";
    made.append(
      cell("td", "num rank", medal), heading, cell("td", "num score", unit.score), cell("td", "num lost", lost(unit.points_lost)),
      cell("td", "num wide entries", String(unit.entries)), cell("td", "wide changed", changed),
    );
    return made;
  }

  function show(ranking) {
    if (frozen) frozen.hidden = !ranking.frozen;
    const before = new Map([...body.rows].map((each) => [each.dataset.unit, each.querySelector(".score").textContent]));
    let units = group ? ranking.standings.filter((unit) => unit.group === group) : ranking.standings;
    const rankOf = (unit) => (group ? unit.group_rank : unit.rank);
    const medals = units.length > 3 && rankOf(units[3]) > 3;
    if (Number(last)) units = units.slice(-Number(last)).reverse();
    body.replaceChildren(...units.map((unit) => {
      const made = row(unit, rankOf(unit), medals);
      if (before.has(unit.unit) && before.get(unit.unit) !== unit.score) made.classList.add("moved");
      return made;
    }));
  }

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
