// What makes the form easier where scripts run: position, map, guidance, questions. It works without all of it.
"use strict";
(() => {
  const form = document.getElementById("report");
  if (!form) return;
  const at = (id) => document.getElementById(id);
  const texts = form.dataset;
  const fields = { longitude: at("longitude"), latitude: at("latitude"), community: at("community") };
  const map = form.querySelector("svg.map");
  const pin = map.querySelector(".pin");
  const scale = Object.fromEntries(["west", "north", "scaleX", "scaleY", "margin"].map((name) => [name, Number(map.dataset[name])]));
  form.querySelectorAll(".only-js").forEach((part) => { part.hidden = false; });

  function place(longitude, latitude) {
    fields.longitude.value = longitude.toFixed(6);
    fields.latitude.value = latitude.toFixed(6);
    draw();
  }

  function draw() {
    const longitude = parseFloat(fields.longitude.value);
    const latitude = parseFloat(fields.latitude.value);
    const known = Number.isFinite(longitude) && Number.isFinite(latitude);
    pin.classList.toggle("hidden", !known);
    let code = fields.community.value;
    if (known) {
      const spot = map.createSVGPoint();
      spot.x = (longitude - scale.west) * scale.scaleX + scale.margin;
      spot.y = (scale.north - latitude) * scale.scaleY + scale.margin;
      pin.setAttribute("transform", `translate(${spot.x} ${spot.y})`);
      const area = [...map.querySelectorAll(".area")].find((each) => each.isPointInFill(spot));
      code = area ? area.dataset.code : "";
      fields.community.value = code;
    }
    map.querySelectorAll(".area").forEach((each) => each.classList.toggle("here", each.dataset.code === code));
  }

  map.addEventListener("click", (event) => {
    const spot = map.createSVGPoint();
    spot.x = event.clientX;
    spot.y = event.clientY;
    const { x, y } = spot.matrixTransform(map.getScreenCTM().inverse());
    place(scale.west + (x - scale.margin) / scale.scaleX, scale.north - (y - scale.margin) / scale.scaleY);
  });
  fields.longitude.addEventListener("change", draw);
  fields.latitude.addEventListener("change", draw);
  fields.community.addEventListener("change", () => {
    fields.longitude.value = fields.latitude.value = "";
    draw();
  });

  at("locate").addEventListener("click", () => {
    const status = at("located");
    if (!navigator.geolocation) { status.textContent = texts.unlocated; return; }
    status.textContent = texts.locating;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => { place(coords.longitude, coords.latitude); status.textContent = texts.located; },
      () => { status.textContent = texts.unlocated; },
      { enableHighAccuracy: true, timeout: 10000, maximumAge: 30000 },
    );
  });

  const category = at("category");
  const guidance = at("guidance");
  const nothing = guidance.textContent;
  function guide() {
    const praise = form.querySelector("[name=kind]:checked").value === "praise";
    const { guidance: advice, photo } = category.selectedOptions[0].dataset;
    const needed = photo && !praise ? guidance.dataset.photo : "";
    guidance.textContent = praise ? guidance.dataset.praise : [needed, advice].filter(Boolean).join(" ") || nothing;
    guidance.classList.toggle("strong", Boolean(needed));
    form.querySelectorAll("[data-category]").forEach((questions) => {
      const asked = !praise && questions.dataset.category === category.value;
      questions.hidden = questions.disabled = !asked;
    });
  }
  category.addEventListener("change", guide);
  form.querySelectorAll("[name=kind]").forEach((kind) => kind.addEventListener("change", guide));
  window.addEventListener("pageshow", guide);

  guide();
  draw();
})();
