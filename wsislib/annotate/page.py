"""The labelling page in a notebook.

    from wsislib.annotate.page import label
    label("garden/images", "garden/train.json", ["rose", "thistle"], sam=True)

`wsis label` serves the same page to a browser; this one needs `anywidget` (part of
`pip install wsis-book[book]`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from wsislib.annotate.assistant import SamAssistant
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.page_files import page_file, page_script
from wsislib.models.teacher_names import DEFAULT_TEACHER


class LabelPage(anywidget.AnyWidget):
    """A `Desk` in a notebook's cell; `desk.labels` is the file."""

    _esm = page_script()
    _css = page_file("label.css")
    view = traitlets.Dict().tag(sync=True)  # `Desk.view`: what the page shows beside the picture
    picture = traitlets.Bytes().tag(sync=True)  # JPEG
    files: traitlets.List[str] = traitlets.List().tag(sync=True)  # names of all images

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._shown = desk.file_name
        super().__init__(view=desk.view(), picture=desk.picture(), files=list(desk.labels.files))
        self.on_msg(self._received)

    def _received(self, _: object, content: Mapping[str, Any], __: object) -> None:
        self.desk.receive(content)
        with self.hold_sync():
            if self.desk.file_name != self._shown:
                self._shown = self.desk.file_name
                self.picture = self.desk.picture()
            self.view = self.desk.view()


def label(
    images: str | Path, file: str | Path, names: Sequence[str] = (), *, sam: str | Path | bool = ""
) -> LabelPage:
    """Label the images of a folder; the file is written after every change.

    Args:
        images: the folder.
        file: COCO JSON, which need not exist; what it has is gone on with.
        names: of categories; those that the file lacks are added.
        sam: to be offered masks for a click or a box: True for the usual SAM of the package, one
            of its SAMs by name ("tiny"), or the path of a published checkpoint; empty for none.

    Raises:
        ValueError: see `LabelFile` and `load_sam`.
    """
    assistant, labels = None, LabelFile(file, images, names)
    if sam is True:
        sam = DEFAULT_TEACHER
    if sam and str(sam):
        from wsislib.models.sam.sam_weights import load_sam

        assistant = SamAssistant(load_sam(sam))
    return LabelPage(Desk(labels, assistant))
