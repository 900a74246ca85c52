"""Which file a name probably means."""

import pytest

from wsislib.data.photographs.near_names import NearNames

FILES = [
    "001.png",
    "deep/002.png",
    "003.png",
    "3f2a9c-004.png",
    "M\u00fcnze.jpg",
    "a b.png",
    "garden_view.jpg",
]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("images/001.png", "001.png"),
        ("images\\002.png", "deep/002.png"),
        ("9d-8e-003.png", "003.png"),
        ("./001.PNG", "001.png"),
        ("004.png", "3f2a9c-004.png"),
        ("Mu\u0308nze.jpg", "M\u00fcnze.jpg"),
        ("a%20b.png", "a b.png"),
        ("003.jpg", "003.png"),
        ("gardenview.jpg", "garden_view.jpg"),
        ("garden_view2.jpg", None),
        ("nothing like it.webp", None),
        ("", None),
    ],
)
def test_near_names(name: str, meant: str | None) -> None:
    assert NearNames(FILES).find(name) == meant


def test_what_two_files_could_mean_is_not_guessed() -> None:
    assert NearNames(["a-x1.png", "b-x1.png"]).find("x1.png") is None


def test_many_unknown_names_take_no_time() -> None:
    names = NearNames([f"photograph {i}.jpg" for i in range(20_000)])
    assert [names.find(f"{i:09d}.png") for i in range(2_000)] == [None] * 2_000
