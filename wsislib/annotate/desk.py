"""A labelling page without the page: messages in, a picture and a view out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsislib.annotate.assistant import Offer, SamAssistant, entry_of
from wsislib.annotate.image_labels import ImageLabels
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.messages import geometry_of, outline_of, seconds_of, shown, with_time
from wsislib.data.images import read_image, resolve_image
from wsislib.data.photographs.coco_labels import clip_box, numbers
from wsislib.models.teacher_names import DEFAULT_TEACHER
from wsislib.viz.palette import colour

ACTIONS = (
    *("add", "ask", "choose", "remove", "rename", "finish", "reopen"),
    *("undo", "redo", "go", "category"),
)
SHOWN_SIDE = 1600  # pixels; a larger picture is sent scaled down, its coordinates are not


class Desk:
    """One file of labels and the current image.

    Every message is a mapping with `do` and what that needs, and `seconds`, the time that the
    annotator worked since the last one:

    | do | needs | |
    |---|---|---|
    | add | category, and of point, box, polygons at most one; with none it is a tag | |
    | ask | point or box | asks SAM; `view` has the offers |
    | choose | category, offer (index) | an offer becomes an entry |
    | remove, rename | entry; rename: category | |
    | finish, reopen | | the image is, is not completely labelled |
    | undo, redo | | |
    | go | to: file name, or "next", "previous", "unfinished" | |
    | category | name | one more |

    After an error the view has it as `message`, and nothing has changed.
    """

    def __init__(self, labels: LabelFile, assistant: SamAssistant | None = None) -> None:
        self.labels, self.assistant = labels, assistant
        self.message = ""
        self._offers: list[Offer] = []
        self._unreadable: dict[str, str] = {}
        self._index = 0
        self._pixels: NDArray[np.uint8] | None = None
        self._show(self._unfinished_from(0) or 0)

    @property
    def file_name(self) -> str:
        """The current image's."""
        return self.labels.files[self._index]

    def receive(self, message: Mapping[str, Any]) -> None:
        """Act on a message; an error becomes the `message` of `view()`."""
        self.message = ""
        try:
            if message.get("do") not in ACTIONS:
                known = ", ".join(ACTIONS)
                raise ValueError(f"the page asked for {message.get('do')!r}; known are {known}")
            getattr(self, f"_{message['do']}")(message)
        except (ValueError, OSError) as error:
            self.message = str(error)
        except (KeyError, TypeError) as error:
            self.message = f"the page sent {dict(message)!r:.200}, which lacks or misuses {error}"

    def picture(self) -> bytes:
        """The current image as JPEG, at most `SHOWN_SIDE` pixels a side; empty if unreadable.

        EXIF orientation is not applied, as COCO's coordinates refer to the stored pixels.
        """
        if self._pixels is None:
            return b""
        image = Image.fromarray(self._pixels)
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=92)
        return stream.getvalue()

    def view(self) -> dict[str, Any]:
        """What the page shows beside the picture, ready for JSON."""
        work = None if self._pixels is None else self._work()
        return {
            "image": self.file_name,
            "index": self._index,
            "count": len(self.labels.files),
            "finished": sum(map(self.labels.finished, self.labels.files)),
            "width": 0 if work is None else work.width,
            "height": 0 if work is None else work.height,
            "done": work is not None and work.finished,
            "entries": [] if work is None else [shown(entry, work) for entry in work.entries],
            "categories": [
                {"id": category.id, "name": category.name, "colour": colour(index)}
                for index, category in enumerate(self.labels.categories)
            ],
            "offers": [
                {"outline": outline_of(offer.mask), "score": round(offer.score, 2)}
                for offer in self._offers
            ],
            "sam": self.assistant is not None,
            "undo": self.labels.can_undo,
            "redo": self.labels.can_redo,
            "message": self.message or self._unreadable.get(self.file_name, ""),
        }

    def _work(self) -> ImageLabels:
        if self._pixels is None:
            raise ValueError(self._unreadable.get(self.file_name, "there is no current image"))
        high, wide = self._pixels.shape[:2]
        return self.labels.work(self.file_name, (wide, high))

    def _add(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        places = [key for key in ("point", "box", "polygons") if message.get(key)]
        if len(places) > 1:
            raise ValueError(f"an entry has one place, the page sent {' and '.join(places)}")
        entry = {**self._head(message), **geometry_of(message, work)}
        self.labels.change(work.with_entry(entry))
        self._offers = []

    def _ask(self, message: Mapping[str, Any]) -> None:
        if self.assistant is None:
            way = f"label(..., sam={DEFAULT_TEACHER!r}) has one"
            raise ValueError(f"no SAM was given to this page; {way}")
        work, point, box = self._work(), message.get("point"), message.get("box")
        assert self._pixels is not None  # else there is no work
        if (point is None) == (box is None):
            raise ValueError("SAM is asked with a point or with a box")
        ask = partial(self.assistant.offers, self._pixels, self.file_name)
        if box is not None:
            offers = ask(box=clip_box(numbers(box, "box", 4), work.height, work.width))
        else:
            x, y = numbers(point, "point", 2)
            offers = ask(point=(x, y))
        if not offers:
            raise ValueError("SAM finds nothing there; draw the outline by hand")
        self._offers = offers

    def _choose(self, message: Mapping[str, Any]) -> None:
        index, work = message["offer"], self._work()
        if not isinstance(index, int) or not 0 <= index < len(self._offers):
            raise ValueError("there is no such offer; ask SAM again")
        assert self.assistant is not None
        drawn = entry_of(self._offers[index], self.assistant.teacher.name)
        self.labels.change(work.with_entry({**self._head(message), **drawn}))
        self._offers = []

    def _remove(self, message: Mapping[str, Any]) -> None:
        self.labels.change(with_time(self._work().without(message["entry"]), message))

    def _rename(self, message: Mapping[str, Any]) -> None:
        work = self._work().named(message["entry"], self._known(message["category"]))
        self.labels.change(with_time(work, message))

    def _finish(self, message: Mapping[str, Any]) -> None:
        self.labels.change(with_time(replace(self._work(), finished=True), message))
        following = self._unfinished_from(self._index + 1)
        self._show(self._index if following is None else following)

    def _reopen(self, message: Mapping[str, Any]) -> None:
        self.labels.change(with_time(replace(self._work(), finished=False), message))

    def _undo(self, message: Mapping[str, Any]) -> None:
        self._follow(self.labels.undo())

    def _redo(self, message: Mapping[str, Any]) -> None:
        self._follow(self.labels.redo())

    def _go(self, message: Mapping[str, Any]) -> None:
        count, to = len(self.labels.files), message["to"]
        if to == "unfinished":
            following = self._unfinished_from(self._index + 1)
            if following is None:
                raise ValueError("every image is labelled")
            self._show(following)
        elif to in ("next", "previous"):
            self._show((self._index + (1 if to == "next" else -1)) % count)
        elif to in self.labels.files:
            self._show(self.labels.files.index(to))
        else:
            raise ValueError(f"there is no image {to!r}")

    def _category(self, message: Mapping[str, Any]) -> None:
        self.labels.add_category(str(message["name"]))

    def _follow(self, file_name: str | None) -> None:
        """Show the image in which something was changed."""
        if file_name is not None:
            self._show(self.labels.files.index(file_name))

    def _head(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Of a new entry: number, category and time."""
        category = self._known(message["category"])
        head = {"id": self.labels.next_entry_id(), "category_id": category, "iscrowd": 0}
        return {**head, "seconds": seconds_of(message)}

    def _known(self, category_id: object) -> int:
        ids = [category.id for category in self.labels.categories]
        if category_id not in ids:
            raise ValueError("choose a category first")
        return ids[ids.index(category_id)]  # type: ignore[arg-type]

    def _unfinished_from(self, start: int) -> int | None:
        """The first unfinished image at or after `start`, cyclically; None if all are finished."""
        files, count = self.labels.files, len(self.labels.files)
        order = [(start + step) % count for step in range(count)]
        waiting = (i for i in order if not self.labels.finished(files[i]))
        return next((i for i in waiting if files[i] not in self._unreadable), None)

    def _show(self, index: int) -> None:
        """Take another image; of one that cannot be read the view has the reason."""
        self._index, self._offers, self._pixels = index, [], None
        name = self.file_name
        try:
            pixels = read_image(resolve_image(self.labels.image_root, name))
            self.labels.work(name, (pixels.shape[1], pixels.shape[0]))
            self._pixels = pixels
            self._unreadable.pop(name, None)
        except (ValueError, OSError) as error:
            self._unreadable[name] = str(error)
