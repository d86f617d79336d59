// MLflow's clients print links like /#/experiments/1/runs/2, but its pages live below /mlflow/. A fragment never reaches
// the server: the home page follows it from here, and the login takes it along.

if (location.hash.startsWith("#/")) {
  if (location.pathname === "/") location.replace(`/mlflow/${location.hash}`);
  const whole = (next) => (next === "/" || next === "/mlflow/" ? `/mlflow/${location.hash}` : next);
  for (const field of document.querySelectorAll("input[name=next]")) field.value = whole(field.value);
  for (const link of document.querySelectorAll("a[href^='/login/']")) {
    const target = new URL(link.href);
    target.searchParams.set("next", whole(target.searchParams.get("next") ?? "/"));
    link.href = target;
  }
}
