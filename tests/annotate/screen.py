"""A labelling page in a browser, over the real desk, and how one works at it."""

import base64
import contextlib
from collections.abc import Iterator

from wsislib.annotate.desk import Desk


class Screen:
    """A page over a desk, and how one works at it."""

    def __init__(self, browser, address: str, desk: Desk) -> None:
        self.desk, self.shown = desk, ""
        self.wrong: list[str] = []
        self.tab = browser.new_page(viewport={"width": 1100, "height": 800})
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("console", lambda m: m.type == "error" and self.wrong.append(m.text))
        self.tab.expose_function("toPython", self._received)
        self.tab.goto(address)
        self.tab.wait_for_function("window.ready")
        first = [self._answer(), list(desk.labels.files)]
        self.tab.evaluate("([first, files]) => window.begin(first, files)", first)

    def _received(self, message: dict) -> dict:
        self.desk.receive(message)
        return self._answer()

    def _answer(self) -> dict:
        new = self.desk.file_name != self.shown
        self.shown = self.desk.file_name
        picture = base64.b64encode(self.desk.picture()).decode() if new else None
        return {"view": self.desk.view(), "picture": picture}

    @contextlib.contextmanager
    def one_update(self) -> Iterator[None]:
        """What is done inside makes the page say one thing, and waits for the answer."""
        before = self.tab.evaluate("window.updates")
        yield
        self.tab.wait_for_function(f"window.updates > {before}")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the image is on the screen."""
        return tuple(
            self.tab.evaluate(
                """([x, y]) => { const p = new DOMPoint(x, y).matrixTransform(
                   document.querySelector('svg').getScreenCTM()); return [p.x, p.y]; }""",
                [x, y],
            )
        )

    def click(self, x: float, y: float) -> None:
        self.tab.mouse.click(*self.at(x, y))

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.tab.mouse.move(*self.at(x0, y0))
        self.tab.mouse.down()
        self.tab.mouse.move(*self.at((x0 + x1) / 2, (y0 + y1) / 2))
        self.tab.mouse.move(*self.at(x1, y1))
        self.tab.mouse.up()

    def press(self, *keys: str) -> None:
        self.tab.locator(".wsis-label").focus()
        for key in keys:
            self.tab.keyboard.press(key)

    def shapes(self) -> list[str]:
        return self.tab.evaluate(
            "[...document.querySelectorAll('svg g.entry .shape')].map(s => s.tagName)"
        )


def entries(screen: Screen) -> list[dict]:
    return list(screen.desk.labels.work(screen.desk.file_name).entries)
