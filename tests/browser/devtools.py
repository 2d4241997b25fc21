"""Chromium is driven through its DevTools protocol: JSON messages, each ended by a zero byte, on a pair of pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any, Literal

PATIENCE_S = 30.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-extensions", "--hide-scrollbars",
)  # fmt: skip
# the widest element is named, so that a failure says what to mend; what lies in a box that scrolls is not the page's
MEASURE = """(() => {
  const most = document.documentElement.clientWidth, wide = [];
  for (const each of document.body.querySelectorAll('*')) {
    const box = each.getBoundingClientRect();
    if (box.width && box.right > most + 1) wide.push(each.tagName + ' ' + Math.round(box.right) + ': ' +
      (each.textContent || '').trim().slice(0, 40));
  }
  return {wide: document.documentElement.scrollWidth > most ? wide : [], width: document.documentElement.scrollWidth,
          height: document.documentElement.scrollHeight};
})()"""
Scheme = Literal["light", "dark"]


def chromium() -> str | None:
    """The path of a Chromium, or None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as one window showed it: its extent in CSS pixels, what is too wide for it, and what went wrong."""

    width: int
    height: int
    too_wide: tuple[str, ...]
    errors: tuple[str, ...]  # of the console, and exceptions
    requests: tuple[str, ...]  # for anything but files and data within the page


@dataclass(slots=True)
class Browser:
    """One Chromium with one tab."""

    to: int
    back: int
    number: int = 0
    session: str = ""
    held: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    def open_tab(self) -> None:
        """Make the tab, and have it tell of requests and errors."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def show(self, page: Path, width: int, scheme: Scheme) -> Shown:
        """Open a page in a window of this width; return what it looks like when it has loaded."""
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **screen)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media="", features=features)
        self.events.clear()
        self.ask("Page.navigate", url=page.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        found = self.ask("Runtime.evaluate", expression=MEASURE, returnByValue=True)["result"]["value"]
        return Shown(found["width"], found["height"], tuple(found["wide"]), *self._told())

    def value(self, expression: str) -> Any:
        """Return what JavaScript makes of an expression on the page that is shown."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self, path: Path, height: int) -> Path:
        """Write the page that is shown as a PNG, from its top."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height), "scale": 1}
        data = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(b64decode(data))
        return path

    def pdf(self) -> bytes:
        """Return the page that is shown as it is printed on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True, "printBackground": False}
        return b64decode(self.ask("Page.printToPDF", **paper)["data"])

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self.number:
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])
            self.events.append(found)

    def wait_for(self, event: str) -> None:
        """Wait until an event has come."""
        while not any(each.get("method") == event for each in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.held:
            assert select([self.back], [], [], PATIENCE_S)[0], "the browser says nothing"
            read = os.read(self.back, 1 << 20)
            assert read, "the browser is gone"
            self.held += read
        text, _, self.held = self.held.partition(b"\0")
        return dict(json.loads(text))

    def _told(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return errors and requests among the events since the page was asked for."""
        errors, requests = [], []
        for each in self.events:
            params = each.get("params", {})
            if each.get("method") == "Runtime.exceptionThrown":
                errors.append(str(params["exceptionDetails"].get("text")))
            elif each.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
                errors.append(" ".join(str(arg.get("value", "")) for arg in params["args"]))
            elif each.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
                errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif each.get("method") == "Network.requestWillBeSent":
                requests.append(str(params["request"]["url"]))
        return tuple(errors), tuple(url for url in requests if not url.startswith(("file:", "data:")))


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """A Chromium of its own, which is gone when the block ends."""
    (theirs_in, to), (back, theirs_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # it reads from descriptor 3 and writes to 4
        moved = f"exec {theirs_in}<&- {theirs_out}>&-" if min(theirs_in, theirs_out) > 4 else ":"
        script = f'exec 3<&{theirs_in} 4>&{theirs_out}; {moved}; exec "$0" "$@"'
        command = ["bash", "-c", script, program, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdin=quiet, stdout=quiet, stderr=quiet) as at:
            os.close(theirs_in)
            os.close(theirs_out)
            found = Browser(to, back)
            try:
                found.open_tab()
                yield found
                found.session = ""
                found.ask("Browser.close")
                at.wait(PATIENCE_S)
            finally:
                os.close(to)
                os.close(back)
                at.kill()
