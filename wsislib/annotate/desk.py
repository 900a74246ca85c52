"""A labelling page without the page: messages in, a picture and a view out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsislib.annotate.documents import require_place
from wsislib.annotate.image_labels import ImageLabels
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.messages import (
    edited,
    geometry_of,
    mask_fields,
    outline_of,
    seconds_of,
    shown,
    with_time,
)
from wsislib.annotate.pictures import Pictures
from wsislib.data.photographs.coco_labels import clip_box, numbers
from wsislib.models.teacher_names import DEFAULT_TEACHER
from wsislib.viz.palette import colour

if TYPE_CHECKING:  # loading a SAM's code takes longer than opening the page
    from wsislib.annotate.assistant import Offer, SamAssistant

ACTIONS = (
    *("add", "redraw", "edit", "ask", "choose", "remove", "rename", "accept", "dismiss"),
    *("finish", "reopen", "undo", "redo", "go", "category"),
)
_OF_NO_IMAGE = ("undo", "redo", "go", "category")
_PLACES = ("point", "box", "polygons", "stroke")


class Desk:
    """One file of labels and the current image.

    Every message is a mapping with `do` and what that needs, and `seconds`, the time that the
    annotator worked since the last one. A place is one of point, box, polygons and stroke (with
    `width`, pixels); in pixels of the image as it is shown.

    | do | needs | |
    |---|---|---|
    | add | category and at most one place | without a place it is a tag |
    | redraw | entry and a place | the entry has its place there instead |
    | edit | entry, op (paint, erase), and polygons or stroke | makes and fills holes of a mask |
    | ask | point or box | asks SAM; `view` has the offers |
    | choose | category, offer (index) | an offer becomes an entry |
    | remove, rename | entry; rename: category | |
    | accept, dismiss | perhaps entry; without: all | proposals become entries, or go |
    | finish, reopen | | the image is, is not completely labelled |
    | undo, redo | | |
    | go | to: file name, index, or "next", "previous", "unfinished" | |
    | category | name | one more |

    A proposal that is redrawn, edited or renamed is accepted by that. Where a message names the
    `image` that its page shows and another one is current, nothing is changed. After an error the
    view has it as `message`, and nothing has changed.
    """

    def __init__(self, labels: LabelFile, assistant: SamAssistant | None = None) -> None:
        self.labels, self.assistant = labels, assistant
        self.pictures = Pictures(labels.path_of)
        self.message = ""
        self._offers: list[Offer] = []
        self._unreadable: dict[str, str] = {}
        self._index = 0
        self._pixels: NDArray[np.uint8] | None = None
        self._jpeg = b""
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
            shows = message.get("image", self.file_name)
            if shows != self.file_name and message["do"] not in _OF_NO_IMAGE:
                raise ValueError(f"nothing was done: the page showed {shows}, another one is open")
            getattr(self, f"_{message['do']}")(message)
        except (ValueError, OSError) as error:
            self.message = str(error)
        except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
            self.message = f"the page sent {dict(message)!r:.200}, which lacks or misuses {error}"

    def picture(self) -> bytes:
        """The current image as JPEG, at most `SHOWN_SIDE` pixels a side; empty if unreadable."""
        return self._jpeg

    def view(self) -> dict[str, Any]:
        """What the page shows beside the picture, ready for JSON."""
        work = None if self._pixels is None else self._work()
        states = self.labels.states()
        return {
            "image": self.file_name,
            "index": self._index,
            "count": len(self.labels.files),
            "states": states,
            "finished": states.count("f"),
            "width": 0 if work is None else work.width,
            "height": 0 if work is None else work.height,
            "done": work is not None and work.finished,
            "entries": [] if work is None else _shown_entries(work),
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
        _require_one_place(message)
        entry = {**self._head(message), **geometry_of(message, work)}
        self.labels.change(work.with_entry(entry))
        self._offers = []

    def _redraw(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        old = work.entry(message["entry"])
        if not _require_one_place(message):
            raise ValueError("draw where the entry is to be")
        gone = ("segmentation", "bbox", "area", "point")
        kept = {key: value for key, value in old.items() if key not in gone}
        new = work.with_entry({**kept, **geometry_of(message, work)})
        self.labels.change(with_time(new, message))

    def _edit(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        new = work.with_entry(edited(work.entry(message["entry"]), message, work))
        self.labels.change(with_time(new, message))

    def _accept(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        for proposal in _proposals(work, message):
            # A tag says nothing that an entry of its category does not say; it goes.
            tagged = not any(key in proposal for key in ("segmentation", "bbox", "point"))
            same = any(e["category_id"] == proposal["category_id"] for e in work.entries)
            entry = work.entry(proposal["id"])
            work = work.without(entry["id"]) if tagged and same else work.with_entry(entry)
        self.labels.change(with_time(work, message))

    def _dismiss(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        gone = [proposal["id"] for proposal in _proposals(work, message)]
        waiting = tuple(p for p in work.proposals if p["id"] not in gone)
        self.labels.change(with_time(replace(work, proposals=waiting), message))

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
        drawn_by = {"drawn_by": f"SAM {self.assistant.teacher.name}"}
        drawn = {**mask_fields(self._offers[index].mask), **drawn_by}
        self.labels.change(work.with_entry({**self._head(message), **drawn}))
        self._offers = []

    def _remove(self, message: Mapping[str, Any]) -> None:
        work = self._work().without(message["entry"])
        # That it is empty is for a person to say, by finishing it.
        work = replace(work, finished=work.finished and bool(work.entries))
        self.labels.change(with_time(work, message))

    def _rename(self, message: Mapping[str, Any]) -> None:
        work = self._work().named(message["entry"], self._known(message["category"]))
        self.labels.change(with_time(work, message))

    def _finish(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        if work.proposals:
            count = len(work.proposals)
            raise ValueError(
                f"{count} proposal{'s' * (count > 1)} of the model still wait{'s' * (count == 1)}: "
                "accept or remove what is left, then finish"
            )
        self.labels.change(with_time(replace(work, finished=True), message))
        following = self._unfinished_from(self._index + 1)
        self._show(self._index if following is None else following)

    def _reopen(self, message: Mapping[str, Any]) -> None:
        work = self._work()
        record = {key: value for key, value in work.record.items() if key != "finished"}
        self.labels.change(with_time(replace(work, finished=False, record=record), message))

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
        elif isinstance(to, int) and 0 <= to < count:
            self._show(to)
        elif to in self.labels.place:
            self._show(self.labels.place[to])
        else:
            raise ValueError(f"there is no image {to!r}")

    def _category(self, message: Mapping[str, Any]) -> None:
        self.labels.add_category(str(message["name"]))

    def _follow(self, file_name: str | None) -> None:
        """Show the image in which something was changed."""
        if file_name is not None:
            self._show(self.labels.place[file_name])

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
        self._index, self._offers, self._pixels, self._jpeg = index, [], None, b""
        name = self.file_name
        try:
            picture = self.pictures.picture(name)
            height, width = picture.pixels.shape[:2]
            work = self.labels.work(name, (width, height))
            for proposal in work.proposals:
                require_place(proposal, height, width)
            if self.labels.has_proposals(name) and not work.proposals:
                self.message = "what is proposed was predicted for a picture of another size"
            self._pixels, self._jpeg = picture.pixels, picture.jpeg
            self._unreadable.pop(name, None)
        except (ValueError, OSError) as error:
            self._unreadable[name] = str(error)
        self.pictures.prefetch(self.labels.files[(index + 1) % len(self.labels.files)])


def _shown_entries(work: ImageLabels) -> list[dict[str, Any]]:
    """Entries, then proposals, which have a `score`."""
    proposals = ({**shown(p, work), "score": p.get("score", 1.0)} for p in work.proposals)
    return [*(shown(entry, work) for entry in work.entries), *proposals]


def _require_one_place(message: Mapping[str, Any]) -> int:
    """How many places a message has, 0 or 1; more raise ValueError."""
    places = [key for key in _PLACES if message.get(key)]
    if len(places) > 1:
        raise ValueError(f"an entry has one place, the page sent {' and '.join(places)}")
    return len(places)


def _proposals(work: ImageLabels, message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of the entry that a message names, or all; raises ValueError where there is none."""
    wanted = message.get("entry")
    chosen = [p for p in work.proposals if wanted is None or p["id"] == wanted]
    if not chosen:
        raise ValueError("there is no such proposal" if work.proposals else "nothing is proposed")
    return chosen
