"""Large YAML is composed item by item; it reads as it would in one piece, and every part stands where it stands."""

from __future__ import annotations

import pytest

from kpsim.documents import Document, load, pieces
from kpsim.errors import InputError

ITEM = """\
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      text: |
        - not an item
      other: "a
        - b"
    name: s{n}
  # a comment
  spec:
    ports:
    - port: {n}
      name: "010"
"""
HEAD, TAIL = "# of kubectl\napiVersion: v1\nitems:\n", 'kind: List\nmetadata:\n  resourceVersion: ""\n'


def text_of(count: int, item: str = ITEM) -> str:
    return HEAD + "".join(item.format(n=n) for n in range(1, count + 1)) + TAIL


def both(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    monkeypatch.setattr(pieces, "LARGE", len(text) + 1)
    whole = load(text, "a.yaml")
    monkeypatch.setattr(pieces, "LARGE", 1)
    return whole, load(text, "a.yaml")


def in_pieces(document: Document) -> bool:
    return isinstance(document._places, pieces.Piecewise)


def indented(item: str) -> str:
    return "".join(f"  {line}\n" for line in item.splitlines())


@pytest.mark.parametrize(
    "text",
    [text_of(3), text_of(1), text_of(3, indented(ITEM)), f"---\n{text_of(2)}---\n# nothing\n---\n{text_of(3)}..."],
    ids=["list", "one item", "indented", "several documents"],
)
def test_pieces_read_as_the_whole_does(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = both(text, monkeypatch)
    assert [document.data for document in whole] == [document.data for document in cut]
    assert all(map(in_pieces, cut))
    keys = [
        ("items", 0), ("items", 0, "spec", "ports", 0, "port"), ("items", 0, "metadata", "nothing"), ("kind",),
        ("metadata", "resourceVersion"), ("items", 99), ("items",), (),
    ]  # fmt: skip
    for one, other in zip(whole, cut, strict=True):
        for key in keys:
            assert one.place(key) == other.place(key), key
            assert one.place(key, on_key=True) == other.place(key, on_key=True), key
        assert one.cheap_place(("items", 0)) == other.cheap_place(("items", 0))
        assert one.written(("items", 0, "spec", "ports", 0, "port")) == "1" == other.written(keys[1])


@pytest.mark.parametrize(
    "text",
    [
        text_of(2, ITEM.replace("name: s{n}", "name: &a{n} s{n}\n    also: *a{n}")),
        text_of(2) + "---\nkind: Other\n",
        text_of(2).replace("\n", "\r\n"),
        HEAD + TAIL,
    ],
    ids=["aliases", "no list", "carriage returns", "no items"],
)
def test_text_that_cannot_be_cut_safely_is_composed_whole(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = both(text, monkeypatch)
    assert [document.data for document in whole] == [document.data for document in cut]
    assert not any(map(in_pieces, cut))


@pytest.mark.parametrize(
    "item",
    [
        ITEM.replace("  spec:", "  spec: {{a: 1"),
        ITEM.replace("  kind: Service", "  kind: Service\n  kind: Pod"),
        ITEM.replace("name: s{n}", 'name: "s\n- x: 1"'),
    ],
    ids=["syntax", "key twice", "quoted line that looks like an item"],
)
def test_a_wrong_item_is_told_as_in_the_whole(item: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of(2)[: -len(TAIL)] + item.format(n=3) + TAIL
    told = []
    for large in (len(text) + 1, 1):
        monkeypatch.setattr(pieces, "LARGE", large)
        try:
            told.append(str([document.data for document in load(text, "a.yaml")]))
        except InputError as error:
            told.append(str(error))
    assert told[0] == told[1]
