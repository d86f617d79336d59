// Keeps a run's page up to date while it runs: its state, and what its task writes.

const state = document.querySelector("[data-run]");
const log = document.querySelector("pre.log");
const words = new TextDecoder();
let end = Number(log.dataset.end);

async function follow() {
  const { run, task } = state.dataset;
  const part = await fetch(`/runs/${run}/state?task=${encodeURIComponent(task)}`, { redirect: "error" });
  if (!part.ok) return false;
  const fresh = await part.text();
  if (!state.contains(document.activeElement)) state.innerHTML = fresh;
  if (task) {
    const more = await fetch(`/api/v1/runs/${run}/logs?task=${encodeURIComponent(task)}&offset=${end}`);
    const bytes = await more.arrayBuffer();
    if (more.ok && bytes.byteLength) {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      end += bytes.byteLength;
      log.append(words.decode(bytes, { stream: true }));
      document.querySelector("[data-empty]")?.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
  }
  const telling = decodeURIComponent(part.headers.get("X-Run-Task") ?? "");
  if ("follow" in state.dataset && telling !== task) return false; // the next task has begun: its page is the same, reloaded
  return part.headers.get("X-Run-Done") !== "true";
}

log.scrollTop = log.scrollHeight;
for (let going = true, wait = 1000; going; ) {
  await new Promise((resume) => setTimeout(resume, document.hidden ? 5000 : wait));
  try {
    going = await follow();
    wait = 1000;
  } catch {
    wait = Math.min(wait * 2, 15000); // the server may be away for a while
  }
}
location.reload();
