from __future__ import annotations

import gzip

import pytest

from kpsim.documents import Document, decode, dotted, load
from kpsim.errors import InputError, Place


def one(text: str, file: str = "f.yaml") -> Document:
    (document,) = load(text, file)
    return document


def complaint(text: str, file: str = "f.yaml") -> str:
    with pytest.raises(InputError) as caught:
        load(text, file)
    return str(caught.value)


def test_yaml_becomes_plain_data() -> None:
    text = "a: 1\nb: [x, 2.5, true, null, ~, '3', 0x10, 1_000, 1e3, 1.2.3, -7]\nc: {d: }\n"
    assert one(text).data == {
        "a": 1, "b": ["x", 2.5, True, None, None, "3", 16, 1000, 1000.0, "1.2.3", -7], "c": {"d": None},
    }  # fmt: skip


@pytest.mark.parametrize("raw", ["a: 1\r\nb: é\r\n", "\ufeffa: 1\nb: é\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("packed", [False, True])
def test_bytes_as_windows_and_gzip_write_them(raw: str, encoding: str, packed: bool) -> None:
    data = raw.lstrip("\ufeff").encode(encoding)
    text = decode(gzip.compress(data) if packed else data, "f.yaml")
    document = one(text)
    assert document.data == {"a": 1, "b": "é"}
    assert document.place(("b",)) == Place("f.yaml", 2, 4)


@pytest.mark.parametrize("raw", [b"\x00\x01", b"\xff\xff", b"\x1f\x8b\x00", b"a: \xe9", b"\xff\xfea"])
def test_bytes_that_are_not_text(raw: bytes) -> None:
    with pytest.raises(InputError, match=r"f: is (not text|a damaged gzip file)"):
        decode(raw, "f")


def test_places_in_yaml() -> None:
    document = one("spec:\n  services:\n    - {name: a, count: 5}\n    - name: b\n      count:\n")
    assert document.place(("spec", "services", 0, "count")) == Place("f.yaml", 3, 24)
    assert document.place(("spec", "services", 0, "count"), on_key=True) == Place("f.yaml", 3, 17)
    assert document.place(("spec", "services", 1)) == Place("f.yaml", 4, 7)
    assert document.place(("spec", "services", 1, "count")) == Place("f.yaml", 5, 7)
    assert document.place(("spec", "services", 1, "gone")) == Place("f.yaml", 4, 7)
    assert document.written(("spec", "services", 0, "count")) == "5"


def test_places_in_json_are_found_after_the_fact() -> None:
    text = '{"kind": "List",\n\t"items": [\n  {"a": "x{]\\"", "b": [1, 22]},\n  {"n": null}]}'
    document = one(text, "f.json")
    assert document.cheap_place(("items", 0)) == Place("f.json")
    assert document.place(("items", 0, "b", 1)) == Place("f.json", 3, 27)
    assert document.place(("items", 0, "b"), on_key=True) == Place("f.json", 3, 18)
    assert document.place(("items", 1, "n")) == Place("f.json", 4, 9)
    assert document.place(("items", 7)) == Place("f.json", 2, 11)


def test_documents_after_each_other() -> None:
    assert [d.data for d in load("a: 1\n---\n# nothing\n---\nb: 2\n", "f")] == [{"a": 1}, {"b": 2}]
    assert [d.data for d in load('{"a": 1}\n{"b": 2}\n', "f")] == [{"a": 1}, {"b": 2}]
    second = load('{"a": 1}\n{"b": 2}\n', "f")[1]
    assert second.place(("b",)) == Place("f", 2, 7)


def test_merge_keys_and_aliases_work_in_manifests() -> None:
    assert one("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: *x\n").data == {
        "x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}, "z": {"a": 1, "b": 2},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f.yaml: is empty"),
        ("# only this\n", "f.yaml: is empty: nothing but comments"),
        (
            "a: 1\nb: 2\na: 3\n",
            "f.yaml:3:1: the key 'a' is written twice\n    a: 3\n    ^\n    it is on line 1 already",
        ),
        ('{"a": 1, "a": 2}', "f.yaml:1:10: the key 'a' is written twice"),
        ("a: [1\n", "is not YAML"),
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("a: !!python/object:os.system x\n", "the tag 'tag:yaml.org,2002:python/object:os.system' is not taken"),
        ("a: &a [*a]\n", "f.yaml:1:4: contains itself"),
        ("? [a]\n: b\n", "a key must be plain text"),
        ("name: {{ .Values.name }}\n", "render it first"),
        ("{{- if .x }}\nname: y\n{{- end }}\n", "render it first"),
        ("a: " + "9" * 5000, "too many digits"),
        ("[" * 100_000, "nested more than 200 levels deep"),
        ("- " * 300 + "x", "nested more than 200 levels deep"),
        ('a: "\x07"', "control characters"),
        ('{"a": "\\ud83d"}', "half a character"),
        ('{"a": NaN, "b": 5,}}', "is not YAML"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_what_is_refused(text: str, expected: str) -> None:
    assert expected in complaint(text)


def test_json_errors_have_their_place() -> None:
    assert complaint('{"a": 1,\n "b": }', "f.json").startswith("f.json:2:7: is not JSON: expecting value\n")
    assert complaint('{"a": [1, 2', "f.json").startswith("f.json:1:12: the JSON ends too early")
    assert "render it first" in complaint('{"a": {{ .x }}}', "f.json")


def test_all_syntax_problems_of_a_kind_in_one_pass() -> None:
    text = "a: 1\na: 2\nb: !x 1\n? [c]\n: 1\n"
    assert [line.split(": ")[0] for line in complaint(text).splitlines() if line.startswith("f.yaml")] == [
        "f.yaml:2:1", "f.yaml:3:4", "f.yaml:4:3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [("a: {b: 1:30}", "a.b", "base 60"), ("a: [010]", "a[0]", "octal"), ("a: on", "a", "true"), ("a: No", "a", "false"),
     ("a: &x [1]\nb: *x", "b", "alias"), ("a: &x 1\nb: [off]", "b[0]", "false")],
)  # fmt: skip
def test_what_yaml_takes_for_something_else_is_told(text: str, key: str, what: str) -> None:
    (trap,) = one(text).traps()
    assert trap.key == key
    assert what in trap.what
    assert trap.mend


@pytest.mark.parametrize(
    "text", ["a: '1:30'", 'a: "010"', "a: 'on'", "a: 0", "a: true", "a: 10.96.0.0/12", "a: 1m30s", "a: note",
             "o: {apiVersion: v1, kind: Service, mode: 0644, on: yes}", '{"a": 1}']
)  # fmt: skip
def test_what_cannot_be_mistaken_is_no_trap(text: str) -> None:
    assert one(text).traps() == []


def test_excerpts_are_safe_to_print_and_short() -> None:
    problem = one("a: 1\nb: \u200e\u202ex\n").problem(("b",), "odd")
    assert problem.text.isprintable()
    assert one("a: " + "x" * 500).problem(("a",), "long").text == ""


def test_a_key_is_written_with_dots_and_brackets() -> None:
    assert dotted(("spec", "services", 0, "count")) == "spec.services[0].count"
    assert dotted(()) == ""
