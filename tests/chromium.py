"""Chromium without a screen, driven over its DevTools protocol; tests that need it are skipped where it is not installed."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 60.0


class Tab:
    """One tab with cookies of its own. What went wrong in it is kept: `failed` answers and `errors` of its scripts."""

    def __init__(self, connection: ClientConnection, domains: Sequence[str] = ("Page", "Network", "Runtime", "Log")) -> None:
        self._connection = connection
        self._number = 0
        self._asked: dict[str, str] = {}
        self._open: set[str] = set()
        self._last = time.monotonic()
        self.failed: list[tuple[int, str]] = []
        self.errors: list[str] = []
        for domain in domains:
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser; its answer. What it tells meanwhile is noted."""
        self._number += 1
        number = self._number
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._connection.recv(_SECONDS))
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told}"
                return dict(told["result"])
            self._note(told)

    def visit(self, address: str, text: str = "") -> str:
        """Open a page and wait until it shows the text, and nothing is asked any more; all its text."""
        self.send("Page.navigate", url=address)
        return self.settle(text)

    def settle(self, text: str = "") -> str:
        """Wait until the page shows the text and has been quiet for half a second; all its text."""
        limit, shown = time.monotonic() + _SECONDS, ""
        while time.monotonic() < limit:
            self._listen(0.1)
            shown = self.value("document.body ? document.body.innerText : ''") or ""
            quiet = time.monotonic() - self._last
            if text in shown and quiet > (2.0 if self._open else 0.5):  # a worker's script never tells that it has come
                return shown
        raise AssertionError(f"no {text!r} after {_SECONDS:.0f} s on {self.value('location.href')}: {shown[:2000]}")

    def value(self, script: str) -> Any:
        """What a script comes to on the page."""
        return self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get("value")

    def picture(self, path: Path) -> None:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def _listen(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            try:
                self._note(json.loads(self._connection.recv(left)))
            except TimeoutError:
                return

    def _note(self, told: dict[str, Any]) -> None:
        kind, what = told["method"], told["params"]
        if kind.startswith("Network."):
            self._last = time.monotonic()
        if kind == "Network.requestWillBeSent":
            self._asked[what["requestId"]] = f"{what['request']['method']} {what['request']['url']}"
            self._open.add(what["requestId"])
        elif kind == "Network.responseReceived" and what["response"]["status"] >= 400:
            self.failed.append((what["response"]["status"], self._asked.get(what["requestId"], what["response"]["url"])))
        elif kind in ("Network.loadingFinished", "Network.loadingFailed"):
            self._open.discard(what["requestId"])
            if kind.endswith("Failed") and not what.get("canceled"):
                self.failed.append(
                    (0, f"{self._asked.get(what['requestId'])}: {what['errorText']} {what.get('blockedReason', '')}")
                )
        elif kind == "Runtime.exceptionThrown":
            thrown = what["exceptionDetails"]
            self.errors.append(thrown.get("exception", {}).get("description") or thrown["text"])
        elif kind == "Runtime.consoleAPICalled" and what["type"] == "error":
            self.errors.append(" ".join(str(a.get("value", a.get("description", ""))) for a in what["args"]))
        elif kind == "Log.entryAdded" and what["entry"]["level"] == "error" and what["entry"]["source"] != "network":
            self.errors.append(what["entry"]["text"])


class Chromium:
    """A browser process; each tab is a person's own."""

    def __init__(self, command: str, folder: Path) -> None:
        words = [command, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--remote-debugging-port=0", f"--user-data-dir={folder}", "--window-size=1400,1000",
                 "--disable-background-networking", "--disable-component-update"]  # fmt: skip
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told, limit = folder / "DevToolsActivePort", time.monotonic() + _SECONDS
        while not told.exists() or len(told.read_text().splitlines()) < 2:
            assert self._process.poll() is None, f"{command} ended with {self._process.returncode}"
            assert time.monotonic() < limit, f"{command} did not come up"
            time.sleep(0.05)
        port, path = told.read_text().splitlines()[:2]
        self._address = f"ws://127.0.0.1:{port}"
        self._opened = ExitStack()
        self._control = Tab(self._connected(path), domains=())

    def tab(self) -> Tab:
        """A tab of somebody new."""
        person = self._control.send("Target.createBrowserContext")["browserContextId"]
        target = self._control.send("Target.createTarget", url="about:blank", browserContextId=person)["targetId"]
        return Tab(self._connected(f"/devtools/page/{target}"))

    def close(self) -> None:
        """End the browser."""
        self._opened.close()
        self._process.terminate()
        self._process.wait(20)

    def _connected(self, path: str) -> ClientConnection:
        return self._opened.enter_context(connect(self._address + path, max_size=None, proxy=None))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A running browser."""
    command = next((found for name in NAMES if (found := shutil.which(name))), None)
    if command is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    opened = Chromium(command, tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()
