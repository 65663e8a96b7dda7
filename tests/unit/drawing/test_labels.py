from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.drawing import Mark
from transformer.drawing.frame import Frame, Rect
from transformer.drawing.labels import Label, Place, place_labels
from transformer.drawing.marks import Plate, place_plates
from transformer.drawing.text import font_of

WIDTH, HEIGHT = 640, 480
TALL = 18


@st.composite
def plates(draw: st.DrawFn) -> tuple[Frame, list[Mark], list[Plate]]:
    """The labels of any boxes on a picture of any size."""
    width, height = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
    edges = st.tuples(*[st.floats(-0.2, 1.2)] * 4)
    found = draw(st.lists(st.tuples(st.text(max_size=30), st.integers(0, 90), edges), max_size=25))
    marks = [
        Mark(label, class_id, 0.5, (left * width, top * height, right * width, bottom * height))
        for label, class_id, (left, top, right, bottom) in found
    ]
    frame = Frame.of(width, height)
    boxes = [frame.place(mark.box) for mark in marks if mark.box is not None]
    return frame, marks, place_plates(marks, boxes, frame, font_of(frame.font_size))


def overlap(one: Rect, other: Rect) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def row(count: int, box: Rect = (200, 100, 300, 160)) -> list[Label]:
    return [Label(box, ((90, TALL), (50, TALL)))] * count


def found(places: list[Place | None]) -> list[Rect]:
    return [place.rect for place in places if place is not None]


@settings(max_examples=60, deadline=None)
@given(plates())
def test_labels_never_overlap_nor_leave_the_canvas(placed: tuple[Frame, list[Mark], list[Plate]]) -> None:
    frame, _, every = placed
    for plate in every:
        left, top, right, bottom = plate.rect
        assert 0 <= left < right <= frame.width
        assert 0 <= top < bottom <= frame.height
    assert not [pair for pair in combinations(every, 2) if overlap(pair[0].rect, pair[1].rect)]


@settings(max_examples=60, deadline=None)
@given(plates())
def test_the_best_label_always_has_a_place(placed: tuple[Frame, list[Mark], list[Plate]]) -> None:
    _, marks, every = placed
    assert [plate.mark for plate in every][:1] == marks[:1]


def test_a_long_label_is_cut_and_keeps_its_score() -> None:
    frame = Frame.of(640, 480)
    mark = Mark("a very long name of a class " * 9, 3, 0.7, (100, 100, 300, 200))
    (plate,) = place_plates([mark], [(100, 100, 300, 200)], frame, font_of(frame.font_size))
    assert plate.text.startswith("a very long name")
    assert plate.text.endswith("… 0.70")
    assert plate.rect[2] - plate.rect[0] <= 330


def test_a_label_stands_above_its_box_where_there_is_room() -> None:
    (place,) = place_labels(row(1), WIDTH, HEIGHT)
    assert place == Place((200, 100 - TALL, 290, 100), 0)


def test_a_label_of_a_box_at_the_upper_edge_stands_inside() -> None:
    (place,) = place_labels(row(1, (200, 0, 400, 160)), WIDTH, HEIGHT)
    assert place is not None
    assert place.rect == (200, 0, 290, TALL)


def test_a_label_of_a_box_at_the_right_edge_slides_onto_the_canvas() -> None:
    (place,) = place_labels(row(1, (620, 100, 640, 160)), WIDTH, HEIGHT)
    assert place is not None
    assert place.rect == (550, 100 - TALL, 640, 100)


def test_a_label_of_a_small_box_does_not_cover_it() -> None:
    (place,) = place_labels(row(1, (200, 0, 220, 12)), WIDTH, HEIGHT)
    assert place is not None
    assert not overlap(place.rect, (200, 0, 220, 12))


def test_a_label_does_not_cover_a_small_neighbor() -> None:
    neighbor = Label((210, 85, 230, 95), ())
    place, _ = place_labels([*row(1), neighbor], WIDTH, HEIGHT)
    assert place is not None
    assert not overlap(place.rect, neighbor.box)


def test_many_labels_of_one_place_are_spread_around_it() -> None:
    assert len(found(place_labels(row(12), WIDTH, HEIGHT))) == 12


def test_labels_without_room_are_left_out_the_last_first() -> None:
    places = place_labels(row(40), 120, 60)
    count = len(found(places))
    assert 0 < count < 40
    assert all(place is not None for place in places[:count])


def test_labels_leave_most_of_the_picture_to_see() -> None:
    boxes = [(x, y, x + 20, y + 15) for y in range(0, HEIGHT, 20) for x in range(0, WIDTH, 30)]
    places = place_labels([Label(box, ((90, TALL),)) for box in boxes], WIDTH, HEIGHT)
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in found(places))
    assert 0.2 < area / (WIDTH * HEIGHT) < 0.3


def test_the_same_boxes_get_the_same_places() -> None:
    labels = [Label((x, 50 + x // 3, x + 60, 150), ((90, TALL), (50, TALL))) for x in range(0, 500, 17)]
    assert place_labels(labels, WIDTH, HEIGHT) == place_labels(labels, WIDTH, HEIGHT)
