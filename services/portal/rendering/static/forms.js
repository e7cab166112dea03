// What makes sending easier where scripts run: previews of photos, limits named at once, no second click.
"use strict";
(() => {
  function fits(field) {
    const { most, megabytes, tooMany, tooLarge } = field.dataset;
    const chosen = [...field.querySelector("[type=file]").files];
    const kept = field.querySelectorAll("[name=kept]:checked").length;
    const many = chosen.length + kept > Number(most);
    const large = chosen.some((file) => file.size > Number(megabytes) * 1048576);
    const problem = field.querySelector("[data-problem]");
    problem.hidden = !(many || large);
    problem.textContent = many ? tooMany : tooLarge;
    return !(many || large);
  }

  function preview(field) {
    const previews = field.querySelector(".previews");
    previews.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
    const chosen = [...field.querySelector("[type=file]").files].slice(0, Number(field.dataset.most));
    previews.replaceChildren(...chosen.map((file) => {
      const image = document.createElement("img");
      image.alt = file.name;
      image.src = URL.createObjectURL(file);
      // Not every browser can show every kind of photo that may be sent.
      image.addEventListener("error", () => {
        const name = document.createElement("span");
        name.textContent = file.name;
        image.replaceWith(name);
      });
      return image;
    }));
  }

  document.querySelectorAll(".photo-field").forEach((field) => {
    field.addEventListener("change", () => { fits(field); preview(field); });
  });

  document.querySelectorAll("form[data-sending]").forEach((form) => {
    const fields = [...form.querySelectorAll(".photo-field")];
    const buttons = [...form.querySelectorAll("[type=submit]")].map((button) => [button, button.textContent]);
    form.addEventListener("submit", (event) => {
      const unfit = fields.find((field) => !fits(field));
      if (unfit) {
        event.preventDefault();
        unfit.querySelector("[type=file]").focus();
        return;
      }
      // Later than the browser reads the form: a button that is disabled would not be sent along.
      setTimeout(() => buttons.forEach(([button]) => {
        button.disabled = true;
        if (button === event.submitter || buttons.length === 1) button.textContent = form.dataset.sending;
      }));
    });
    window.addEventListener("pageshow", () => buttons.forEach(([button, offer]) => {
      button.disabled = false;
      button.textContent = offer;
    }));
  });
})();
