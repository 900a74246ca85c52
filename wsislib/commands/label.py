"""`wsis label`: the labelling page in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path


def label_folder(
    folder: Path,
    /,
    *,
    file: Path | None = None,
    names: tuple[str, ...] = (),
    predictions: Path | None = None,
    of: Path | None = None,
    score: float = 0.25,
    sam: str = "",
    port: int = 0,
    browser: bool = True,
) -> int:
    """Label the images of a folder in the browser, or correct what a model predicts for them.

    Every change is written at once; Ctrl C ends. The page is open to this machine alone.

    Args:
        folder: the images, in it and in the folders inside it.
        file: COCO JSON of the labels, which need not exist; labels.json in the folder where not
            given, and beside it where the folder is called images.
        names: of categories; those that the file lacks are added.
        predictions: what a model predicts, as proposals to accept, correct or remove: a COCO
            document with scores, or a list of COCO results.
        of: the COCO file whose ids a list of results uses.
        score: lowest score of what is proposed.
        sam: to be offered masks for a click or a box: a SAM of the package by name (photo, tiny),
            or the path of a published checkpoint; none where not given.
        port: of this machine; any free one for 0.
        browser: open the page in the browser; else only print its address.
    """
    from wsislib.annotate.desk import Desk
    from wsislib.annotate.label_file import LabelFile
    from wsislib.annotate.proposals import propose, read_proposals
    from wsislib.annotate.server import LabelServer

    if file is None:
        file = (folder.parent if folder.resolve().name == "images" else folder) / "labels.json"
    wanted = list(names)
    if predictions is not None:
        predicted = read_proposals(predictions, of)
        wanted += predicted.names(score, new=not file.exists() and not names)
    labels = LabelFile(file, folder, list(dict.fromkeys(wanted)))
    if predictions is not None:
        print(f"{predictions}: {propose(labels, predicted, score)}")
    assistant = None
    if sam:
        from wsislib.annotate.assistant import SamAssistant
        from wsislib.models.sam.sam_weights import load_sam

        assistant = SamAssistant(load_sam(sam))
    with LabelServer(Desk(labels, assistant), port) as server:
        states = labels.states()
        try:
            print(f"{len(states)} images, {states.count('f')} finished; labels: {file}")
            print(f"{server.address}\nCtrl C ends", flush=True)
            if browser:
                webbrowser.open(server.address)
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"\n{labels.states().count('f')} of {len(states)} finished: {file}")
    return 0
