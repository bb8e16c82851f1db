"""A real Chromium without a window, spoken to by the Chrome DevTools Protocol.

Things on the page are found as a screen reader finds them, by role and accessible name, and
pressed with the mouse, a finger or the keyboard. The names of methods and events are those of the
protocol's reference.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    # A mouse, which a machine without a screen may not have: it can hover and points finely.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,"
    "primaryPointerType=4,availablePointerTypes=4",
    "--remote-debugging-port=0",
)
START_SECONDS = 30.0
PATIENCE_SECONDS = 20.0

Json = dict[str, Any]
# An accessible name, or a pattern that is found in it.
Name = str | re.Pattern[str]


def installed() -> str | None:
    """The program to start: the one in `CHROMIUM`, else one that is on the path."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def running(program: str, folder: Path) -> Iterator[str]:
    """A Chromium with an empty profile in `folder`; yields the URL it is driven at."""
    log = folder / "log.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )
    try:
        yield _url_in(log, process)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _url_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The URL that Chromium writes when it is ready; raises RuntimeError if it ends instead."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"DevTools listening on (ws://\S+)", log.read_text("utf-8", "replace"))
        if found:
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(f"Chromium did not start:\n{log.read_text('utf-8', 'replace')}")


class Browser:
    """A connection to a running Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._pages: dict[str, Page] = {}

    async def listen(self) -> None:
        """Take in answers and events until the connection ends."""
        async for raw in self._connection:
            message = json.loads(raw)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif page := self._pages.get(message.get("sessionId", "")):
                page.heard(message["method"], message["params"])

    async def call(self, method: str, session: str | None = None, **params: Any) -> Json:
        """Call a method of the protocol; raises RuntimeError with what it complains of."""
        number = next(self._numbers)
        body: Json = {"id": number, "method": method, "params": params}
        if session is not None:
            body["sessionId"] = session
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._connection.send(json.dumps(body))
        answer = await asyncio.wait_for(self._answers[number], PATIENCE_SECONDS * 2)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: Json = answer["result"]
        return result

    @asynccontextmanager
    async def page(self, url: str, look: Look) -> AsyncIterator[Page]:
        """A new page at `url`, with no memory of others."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        made = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        page = Page(self, attached["sessionId"], look)
        self._pages[attached["sessionId"]] = page
        await page.open(url)
        try:
            yield page
        finally:
            await self.call("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    """Connect to the Chromium at `url`."""
    async with connect(url, max_size=None, proxy=None) as connection:
        made = Browser(connection)
        listening = asyncio.create_task(made.listen())
        try:
            yield made
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@dataclass(frozen=True)
class Look:
    """A screen: its size in CSS pixels, and what the person prefers."""

    width: int = 1280
    height: int = 800
    phone: bool = False
    scheme: str = "light"
    scale: float = 1


@dataclass
class Page:
    """One page. `errors` has whatever went wrong in it."""

    browser: Browser
    session: str
    look: Look
    errors: list[str] = field(default_factory=list)
    _chooser: asyncio.Future[int] | None = None

    async def call(self, method: str, **params: Any) -> Json:
        """Call a method of the protocol about this page."""
        return await self.browser.call(method, self.session, **params)

    def heard(self, method: str, params: Json) -> None:
        """Keep what is told of errors, and take in the file dialog."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", "")
            self.errors.append(f"{details['text']} {thrown}")
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Page.fileChooserOpened" and self._chooser is not None:
            self._chooser.set_result(params["backendNodeId"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(str(params["args"]))

    async def open(self, url: str) -> None:
        """Go to `url` with the chosen screen."""
        look = self.look
        for domain in ("Page", "Runtime", "Log", "DOM", "Accessibility"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=look.width,
            height=look.height,
            deviceScaleFactor=look.scale,
            mobile=look.phone,
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=look.phone)
        scheme = {"name": "prefers-color-scheme", "value": look.scheme}
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme, calm])
        await self.call("Page.navigate", url=url)
        await self.wait_for("document.body?.dataset.ready === 'true'")

    # -- looking -------------------------------------------------------------------------------

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Return when the expression is truthy; it is looked at after each change of the page."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self.evaluate(f"!!({expression})"):
                    await self._change()
        except TimeoutError:
            shown = await self.evaluate("document.body.innerText")
            raise AssertionError(f"not true: {expression}\nthe page shows:\n{shown}") from None

    async def _change(self) -> None:
        """Return at the next change of the page, or soon: not all that counts is a change."""
        await self.evaluate(
            """new Promise((resolve) => {
              const observer = new MutationObserver(resolve);
              observer.observe(document, {
                subtree: true, childList: true, attributes: true, characterData: true,
              });
              setTimeout(resolve, 100);
            })"""
        )

    async def find(self, role: str, name: Name, within: str | None = None) -> int:
        """The last element that assistive technology knows by `role` and `name`.

        `within` is the name of a region to look in. Returns the node's id in the browser.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (found := await self._query(role, name, within)):
                    await self._change()
                return found[-1]
        except TimeoutError:
            names = await self.names(within)
            raise AssertionError(f"no {role} {name!r} in {within}; there are {names}") from None

    async def has(self, role: str, name: Name, within: str | None = None) -> bool:
        """Whether there is such an element right now."""
        return bool(await self._query(role, name, within))

    async def _query(self, role: str, name: Name, within: str | None) -> list[int]:
        root = (await self.call("DOM.getDocument", depth=0))["root"]["backendNodeId"]
        if within is not None:
            regions = await self._ask(root, "region", within)
            if not regions:
                return []
            root = regions[-1]
        return await self._ask(root, role, name)

    async def _ask(self, root: int, role: str, name: Name) -> list[int]:
        exact = {"accessibleName": name} if isinstance(name, str) else {}
        answer = await self.call(
            "Accessibility.queryAXTree", backendNodeId=root, role=role, **exact
        )
        return [
            node["backendDOMNodeId"]
            for node in answer["nodes"]
            if not node["ignored"]
            and (isinstance(name, str) or name.search(node.get("name", {}).get("value", "")))
        ]

    async def names(self, within: str | None = None) -> list[str]:
        """Role and name of everything that can be operated."""
        root = (await self.call("DOM.getDocument", depth=0))["root"]["backendNodeId"]
        if within is not None:
            root = (await self._ask(root, "region", within))[-1]
        nodes = (await self.call("Accessibility.queryAXTree", backendNodeId=root))["nodes"]
        return [
            f"{node['role']['value']} {node.get('name', {}).get('value', '')!r}"
            for node in nodes
            if not node["ignored"]
            and any(one["name"] == "focusable" for one in node.get("properties", []))
        ]

    async def focused(self) -> str:
        """Role and name of what has the focus."""
        answer = await self.call("Runtime.evaluate", expression="document.activeElement")
        node = await self.call(
            "Accessibility.getPartialAXTree",
            objectId=answer["result"]["objectId"],
            fetchRelatives=False,
        )
        (first, *_) = node["nodes"]
        return f"{first['role']['value']} {first.get('name', {}).get('value', '')!r}"

    async def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        await self.evaluate("document.fonts.ready.then(() => true)")
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    # -- doing ---------------------------------------------------------------------------------

    async def click(self, role: str, name: Name, within: str | None = None) -> None:
        """Press an element with the mouse, on a phone with a finger."""
        for _ in range(5):
            try:
                return await self._click(await self.find(role, name, within))
            except RuntimeError as error:
                # It was drawn again since it was found.
                if "detached" not in str(error) and "No node" not in str(error):
                    raise
        raise AssertionError(f"{role} {name!r} never stands still")

    async def _click(self, node: int) -> None:
        """Press the middle of a node; raises AssertionError if something lies over it."""
        await self.call("DOM.scrollIntoViewIfNeeded", backendNodeId=node)
        quads = (await self.call("DOM.getContentQuads", backendNodeId=node))["quads"]
        xs, ys = quads[0][0::2], quads[0][1::2]
        x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
        covered = await self._over(node, x, y)
        assert not covered, f"{covered} lies over what should be pressed"
        if self.look.phone:
            touch = [{"x": x, "y": y}]
            await self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=touch)
            await self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def _over(self, node: int, x: float, y: float) -> str:
        target = (await self.call("DOM.resolveNode", backendNodeId=node))["object"]["objectId"]
        answer = await self.call(
            "Runtime.callFunctionOn",
            objectId=target,
            functionDeclaration="""function (x, y) {
              const top = document.elementFromPoint(x, y);
              const same = top && (this.contains(top) || top.contains(this) || top.control === this
                || top.closest("label")?.contains(this));
              return same ? "" : (top?.outerHTML ?? "nothing").slice(0, 200);
            }""",
            arguments=[{"value": x}, {"value": y}],
            returnByValue=True,
        )
        return str(answer["result"]["value"])

    async def write(self, text: str) -> None:
        """Type `text` into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def key(self, name: str, code: int, shift: bool = False) -> None:
        """Press a key, such as ("Enter", 13)."""
        text = {"text": "\r"} if name == "Enter" else {}
        if len(name) == 1:
            text = {"text": name}
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                windowsVirtualKeyCode=code,
                modifiers=8 if shift else 0,
                **(text if kind == "keyDown" else {}),
            )

    async def choose(self, role: str, name: Name, value: str) -> None:
        """Choose `value` in a list as a person would have."""
        node = await self.find(role, name)
        target = (await self.call("DOM.resolveNode", backendNodeId=node))["object"]["objectId"]
        await self.call(
            "Runtime.callFunctionOn",
            objectId=target,
            functionDeclaration="""function (value) {
              this.value = value;
              this.dispatchEvent(new Event("change", { bubbles: true }));
            }""",
            arguments=[{"value": value}],
        )

    async def choose_file(self, path: Path, role: str, name: Name, within: str) -> None:
        """Press what opens the system's dialog, and choose a file there."""
        await self.call("Page.setInterceptFileChooserDialog", enabled=True)
        self._chooser = asyncio.get_running_loop().create_future()
        await self.click(role, name, within)
        node = await asyncio.wait_for(self._chooser, PATIENCE_SECONDS)
        await self.call("DOM.setFileInputFiles", files=[str(path)], backendNodeId=node)
