"""The labelling page in a browser, over the real desk: clicked, dragged and typed at."""

import json

import pytest

from tests.annotate.screen import entries

NAMES = ["rose", "thistle"]


def test_the_picture_fills_its_place(screen):
    size = "(i => [i.width.baseVal.value, i.height.baseVal.value])(document.querySelector('image'))"
    assert screen.tab.evaluate(size) == [60, 40]
    screen.tab.wait_for_function(
        "fetch(document.querySelector('image').getAttribute('href')).then(r => r.ok)"
    )
    assert "a.png (1 of 3)" in screen.tab.inner_text(".wsis-label")
    assert "0 of 3 finished" in screen.tab.inner_text(".finished")


def test_every_tool_makes_its_entry(screen):
    with screen.one_update():
        screen.press("t", "2")
    with screen.one_update():
        screen.press("p", "1")
        screen.click(30, 20)
    with screen.one_update():
        screen.press("b")
        screen.drag(40, 30, 20, 10)  # from the lower right to the upper left
    screen.press("o")
    for place in [(5, 5), (15, 5), (15, 12)]:
        screen.click(*place)
    with screen.one_update():
        screen.press("Enter")
    tag, point, box, mask = entries(screen)
    assert tag["category_id"] == 2 and set(tag) == {"id", "category_id", "iscrowd", "seconds"}
    assert point["point"] == pytest.approx([30, 20], abs=0.2)
    assert box["bbox"] == pytest.approx([20, 10, 20, 20], abs=0.2)
    assert mask["segmentation"][0] == pytest.approx([5, 5, 15, 5, 15, 12], abs=0.2)
    assert screen.shapes() == ["circle", "rect", "path"]
    assert all(0 <= entry["seconds"] < 60 for entry in (tag, point, box, mask))


def test_sam_is_asked_with_a_click_and_with_a_box(screen):
    screen.press("1", "m")
    with screen.one_update():
        screen.drag(19, 9, 41, 31)
    offers = screen.desk.view()["offers"]
    assert screen.tab.locator("svg g.offer").count() == 1
    if len(offers) > 1:
        screen.press("ArrowDown")
        pressed = screen.tab.locator("button[aria-pressed=true]", has_text="says SAM")
        assert pressed.inner_text().startswith("2:")
        screen.press("ArrowUp")
    with screen.one_update():
        screen.press("Enter")
    assert entries(screen)[0]["drawn_by"] == "SAM tiny"
    assert screen.shapes() == ["path"] and screen.tab.locator("svg g.offer").count() == 0
    with screen.one_update():
        screen.click(30, 20)
    assert screen.tab.locator("svg g.offer").count() == 1


def test_undo_redo_finish_and_walk(screen):
    screen.press("1", "p")
    with screen.one_update():
        screen.click(30, 20)
    with screen.one_update():
        screen.press("Control+z")
    assert entries(screen) == [] and screen.shapes() == []
    with screen.one_update():
        screen.press("Control+y")
    assert len(entries(screen)) == 1
    with screen.one_update():
        screen.tab.get_by_role("button", name="All is labelled").click()
    assert screen.desk.file_name == "b.png" and "1 of 3 finished" in screen.tab.inner_text(
        ".finished"
    )
    assert screen.shapes() == []
    with screen.one_update():
        screen.press("ArrowLeft")
    assert screen.tab.get_by_role("button", name="Open again").is_visible()
    saved = json.loads(screen.desk.labels.path.read_text())
    assert [image["file_name"] for image in saved["images"]] == ["a.png"]


def test_an_entry_is_renamed_and_removed_from_the_list(screen):
    screen.press("1", "p")
    with screen.one_update():
        screen.click(30, 20)
    with screen.one_update():
        screen.tab.get_by_label("Category of entry 1").select_option(label="thistle")
    assert entries(screen)[0]["category_id"] == 2
    screen.tab.locator("li .kind").first.click()
    assert screen.tab.locator("svg g.chosen").count() == 1
    with screen.one_update():
        screen.press("Delete")
    assert entries(screen) == []


def test_a_category_is_added_while_keys_stay_letters(screen):
    field = screen.tab.get_by_label("Another category")
    field.click()
    with screen.one_update():
        screen.tab.keyboard.type("foxglove")  # f finishes elsewhere, o is a tool
        screen.tab.keyboard.press("Enter")
    assert [c.name for c in screen.desk.labels.categories] == [*NAMES, "foxglove"]
    assert screen.desk.view()["finished"] == 0
    assert screen.tab.locator("button[data-category=foxglove]").is_visible()


def test_what_is_wrong_is_said_aloud(screen):
    screen.press("p")
    screen.click(30, 20)
    assert screen.tab.get_by_role("alert").inner_text() == "Choose a category first."
    with screen.one_update():
        screen.press("1", "o")
        screen.click(5, 5)
        screen.click(5, 5)
        screen.click(5, 5)
        screen.press("Enter")
    assert "covers no pixel" in screen.tab.get_by_role("alert").inner_text()
    assert entries(screen) == []


def test_a_place_is_the_same_when_zoomed(screen):
    screen.press("1", "p", "+", "+", "+")
    assert screen.tab.locator("svg").get_attribute("viewBox") != "0 0 60 40"
    with screen.one_update():
        screen.click(31, 21)
    assert entries(screen)[0]["point"] == pytest.approx([31, 21], abs=0.2)
    screen.press("-", "-", "-", "-")
    assert screen.tab.locator("svg").get_attribute("viewBox") == "0 0 60 40"


def test_a_zoomed_picture_can_be_moved(screen):
    screen.press("1", "p", "+", "+")
    before = screen.at(30, 20)
    screen.tab.keyboard.down("Shift")
    screen.drag(30, 20, 33, 22)
    screen.tab.keyboard.up("Shift")
    moved = [now - then for now, then in zip(screen.at(30, 20), before, strict=True)]
    assert moved[0] > 20 and moved[1] > 10 and entries(screen) == []
    with screen.one_update():
        screen.click(25, 15)
    assert entries(screen)[0]["point"] == pytest.approx([25, 15], abs=0.2)


def test_names_are_text_and_nothing_else(screen):
    screen.tab.evaluate("window.hit = 0")
    with screen.one_update():
        screen.tab.get_by_label("Another category").fill("<img src=x onerror='window.hit=1'>")
        screen.tab.keyboard.press("Enter")
    screen.tab.wait_for_timeout(50)
    assert screen.tab.evaluate("window.hit") == 0


def test_the_end_leaves_nothing_behind(screen):
    assert screen.tab.evaluate("window.listening()") == 2
    screen.tab.evaluate("window.end()")
    assert screen.tab.evaluate("window.listening()") == 0


def test_keys_do_not_reach_the_notebook(screen):
    assert screen.tab.get_attribute(".wsis-label", "data-lm-suppress-shortcuts") == "true"
    screen.tab.evaluate(
        "window.keys = []; document.addEventListener('keydown', e => keys.push(e.key))"
    )
    screen.press("b", "q")
    assert screen.tab.evaluate("window.keys") == ["q"]  # what the page does not know goes on


def test_a_hole_is_drawn_by_hand(screen):
    screen.press("1", "o")
    for place in [(10, 5), (50, 5), (50, 35), (10, 35)]:
        screen.click(*place)
    with screen.one_update():
        screen.press("Enter")
    screen.press("e")
    screen.drag(28, 20, 32, 20)
    assert "Choose a mask first" in screen.tab.get_by_role("alert").inner_text()
    screen.press("j")
    with screen.one_update():
        screen.drag(28, 20, 32, 20)
    assert len(screen.desk.view()["entries"][0]["outline"]) == 2  # the ring and its hole
    for place in [(12, 7), (18, 7), (18, 12), (12, 12)]:
        screen.click(*place)
    with screen.one_update():
        screen.press("Enter")
    assert len(screen.desk.view()["entries"][0]["outline"]) == 3
    screen.press("a")
    with screen.one_update():
        screen.drag(11, 10, 19, 10)  # paints over most of the second hole
    area = entries(screen)[0]["area"]
    assert 1100 < area < 1200 and len(entries(screen)) == 1
    for _ in range(3):
        with screen.one_update():
            screen.press("Control+z")
    assert "size" not in entries(screen)[0]["segmentation"]  # the outline as it was drawn


def test_a_mask_is_painted_in_several_strokes(screen):
    screen.press("2", "a")
    with screen.one_update():
        screen.drag(10, 10, 20, 10)
    with screen.one_update():
        screen.drag(40, 30, 50, 30)  # a second part of the same object
    [entry] = entries(screen)
    assert entry["category_id"] == 2 and len(screen.desk.view()["entries"][0]["outline"]) == 2
    screen.press("Escape", ".", ".")
    with screen.one_update():
        screen.drag(30, 5, 35, 5)
    assert len(entries(screen)) == 2


def test_an_entry_is_drawn_anew(screen):
    screen.press("1", "b")
    with screen.one_update():
        screen.drag(10, 10, 20, 20)
    screen.press("s")
    screen.click(15, 15)
    assert screen.tab.locator("svg g.chosen").count() == 1
    screen.press("w", "b")
    with screen.one_update():
        screen.drag(30, 10, 50, 30)
    [entry] = entries(screen)
    assert entry["bbox"] == pytest.approx([30, 10, 20, 20], abs=0.2) and entry["id"] == 1
