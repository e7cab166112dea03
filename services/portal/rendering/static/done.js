// Copies the tracking code, and does not let it be seen again by going back to the page.
"use strict";
(() => {
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  const code = document.getElementById("code");
  const button = document.getElementById("copy");
  if (!code || !button) return;
  document.querySelectorAll(".only-js").forEach((part) => { part.hidden = false; });

  function select() {
    const range = document.createRange();
    range.selectNodeContents(code);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch {
      return select();  // where the page is not secure, or the clipboard is refused
    }
  }

  button.addEventListener("click", async () => {
    if (await copy()) document.getElementById("copied").textContent = button.dataset.copied;
  });
})();
