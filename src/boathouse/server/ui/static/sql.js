// Ctrl+Enter (or Cmd+Enter) in the editor runs the query.

const form = document.getElementById("editor");
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
