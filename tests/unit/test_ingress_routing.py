from __future__ import annotations

import pytest

from kpsim.ingress.routing import matches, of_class, route
from kpsim.kube.objects import Ingress, IngressBackend, IngressPath


def to(service: str) -> IngressBackend:
    return IngressBackend(service, 80)


def path(text: str, kind: str = "Prefix", host: str = "", service: str = "web") -> IngressPath:
    return IngressPath(to(service), text, kind, host)


def one(*paths: IngressPath, default: IngressBackend | None = None, name: str = "one") -> Ingress:
    return Ingress("default", name, paths, default)


def taken(ingresses: list[Ingress], host: str, at: str) -> str:
    found = route(ingresses, host, at)
    return "404" if found is None else found.backend.service


@pytest.mark.parametrize(
    ("kind", "of_rule", "asked", "is_matched"),
    [  # the table of the Ingress documentation
        ("Prefix", "/", "/anything/at/all", True),
        ("Exact", "/foo", "/foo", True),
        ("Exact", "/foo", "/bar", False),
        ("Exact", "/foo", "/foo/", False),
        ("Exact", "/foo/", "/foo", False),
        ("Prefix", "/foo", "/foo", True),
        ("Prefix", "/foo", "/foo/", True),
        ("Prefix", "/foo/", "/foo", True),
        ("Prefix", "/foo/", "/foo/", True),
        ("Prefix", "/aaa/bb", "/aaa/bbb", False),
        ("Prefix", "/aaa/bbb", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb/", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", False),
        ("Exact", "/foo", "/FOO", False),
        ("ImplementationSpecific", "/aaa/bb", "/aaa/bbb", True),
    ],
)
def test_paths_match_as_documented(kind: str, of_rule: str, asked: str, is_matched: bool) -> None:
    assert matches(path(of_rule, kind), asked) is is_matched


def test_the_longest_path_wins_in_any_order() -> None:
    rules = [path("/", service="root"), path("/aaa", service="a"), path("/aaa/bbb", service="ab")]
    for every in (rules, rules[::-1]):
        ingresses = [one(*every)]
        assert taken(ingresses, "x.io", "/aaa/bbb/c") == "ab"
        assert taken(ingresses, "x.io", "/aaa/ccc") == "a"
        assert taken(ingresses, "x.io", "/ccc") == "root"


def test_exact_goes_before_prefix_of_the_same_length() -> None:
    rules = [path("/foo/", service="prefix"), path("/foo", "Exact", service="exact")]
    for every in (rules, rules[::-1]):
        assert taken([one(*every)], "x.io", "/foo") == "exact"
        assert taken([one(*every)], "x.io", "/foo/bar") == "prefix"


def test_of_two_alike_the_one_read_first_wins() -> None:
    early, late = one(path("/", service="early")), one(path("/", service="late"), name="two")
    assert taken([early, late], "x.io", "/") == "early"


def test_a_wildcard_stands_for_one_label() -> None:
    ingresses = [one(path("/", host="*.foo.com", service="wild"))]
    assert taken(ingresses, "bar.foo.com", "/") == "wild"
    assert taken(ingresses, "BAR.foo.com", "/") == "wild"
    assert taken(ingresses, "baz.bar.foo.com", "/") == "404"
    assert taken(ingresses, "foo.com", "/") == "404"


def test_a_host_that_is_named_leaves_wildcards_and_rules_without_host_aside() -> None:
    rules = [
        path("/", service="any"),
        path("/", host="*.foo.com", service="wild"),
        path("/only", host="bar.foo.com", service="named"),
    ]
    ingresses = [one(*rules)]
    assert taken(ingresses, "bar.foo.com", "/only") == "named"
    assert taken(ingresses, "bar.foo.com", "/other") == "404"
    assert taken(ingresses, "baz.foo.com", "/other") == "wild"
    assert taken(ingresses, "other.org", "/other") == "any"


def test_rules_of_one_host_in_two_ingresses_are_one_set() -> None:
    ingresses = [one(path("/a", host="x.io", service="a")), one(path("/b", host="x.io", service="b"), name="two")]
    assert taken(ingresses, "x.io", "/b/c") == "b"


def test_the_default_backend_of_a_host_comes_before_that_of_all() -> None:
    own = one(path("/a", host="x.io", service="a"), default=to("own"))
    everyone = one(default=to("everyone"), name="two")
    assert taken([everyone, own], "x.io", "/b") == "own"
    assert taken([everyone, own], "y.io", "/b") == "everyone"
    assert taken([own], "y.io", "/b") == "404"


def test_ingresses_of_other_classes_are_left_alone() -> None:
    ingresses = [one(), Ingress("default", "two", class_name="nginx")]
    assert [each.name for each in of_class(ingresses, "nginx")] == ["two"]
    assert of_class(ingresses, "") == tuple(ingresses)
