// Ctrl+Enter (or Cmd+Enter) in the editor runs the query; while it runs, Cancel ends it on the server.

const form = document.getElementById("editor");
const cancel = document.getElementById("cancel");
const hint = document.getElementById("hint");

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

form.addEventListener("submit", () => {
  cancel.hidden = false;
  hint.textContent = "The query runs.";
});

cancel.addEventListener("click", async () => {
  hint.textContent = "Canceling.";
  const headers = { "X-CSRF-Token": document.querySelector("meta[name=csrf]")?.content ?? "" };
  await fetch(`/api/v1/sql/${form.elements.query_id.value}`, { method: "DELETE", headers });
});

// A page that comes back from the browser's memory shows no query that runs, and its id was used.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
