"""Pages are opened in Chromium, on a phone and a desk, by day and by night: no error, no request, nothing too wide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from kpsim.cli import _kpsim
from tests.browser.devtools import Browser, browser, chromium

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "docs" / "site"
WIDTHS = (390, 1280)
HELLO = str(ROOT / "scenarios" / "hello.yaml")
COMMANDS = {
    "run": ["run", HELLO],
    "compare": ["compare", HELLO, "--modes", "iptables,nftables"],
    "sweep": ["sweep", HELLO, "--set", "services.web.count=1,30"],
}
NOTEBOOK = "import kpsim\nkpsim.load('scenarios/hello.yaml').run()"

pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    program = chromium()
    assert program is not None
    with browser(program) as found:
        yield found


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of each kind."""
    place = tmp_path_factory.mktemp("reports")
    for name, words in COMMANDS.items():
        options = ["--replications", "1", "--quiet", "--jobs", "1", "--out", str(place / name)]
        done = CliRunner().invoke(_kpsim, [*words, *options])
        assert done.exit_code == 0, done.output
    return {name: place / name / "report.html" for name in COMMANDS}


def looked_at(opened: Browser, page: Path) -> None:
    """The page has no error, asks nothing of the network and fits, in each window by each scheme."""
    seen = {}
    for width, scheme in product(WIDTHS, ("light", "dark")):
        shown = opened.show(page, width, "dark" if scheme == "dark" else "light")
        seen[width, scheme] = opened.value("getComputedStyle(document.body).backgroundColor")
        assert (shown.errors, shown.requests) == ((), ()), page
        assert shown.width <= width, f"{page.name} is {shown.width} wide: {shown.too_wide}"
        assert shown.height > 500
    assert seen[390, "light"] != seen[390, "dark"], "the page has no dark scheme"


@pytest.mark.parametrize("kind", COMMANDS)
def test_reports(opened: Browser, reports: dict[str, Path], kind: str) -> None:
    looked_at(opened, reports[kind])
    broken = opened.value("[...document.images].filter(each => !each.naturalWidth).length")
    assert broken == 0
    assert opened.value("document.images.length") >= 3
    printed = opened.pdf()
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 30


def test_nothing_in_a_card_is_cut_on_a_phone(opened: Browser, reports: dict[str, Path]) -> None:
    opened.show(reports["run"], 390, "light")
    cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1).length"
    assert opened.value(cut) == 0


def test_a_page_that_is_wrong_is_seen_to_be(opened: Browser, tmp_path: Path) -> None:
    """The twin: each fault that the other tests look for is found where it is."""
    page = tmp_path / "wrong.html"
    wide = "<p style='width: 1300px'>wide</p>"
    page.write_text(f"<body>{wide}<script>console.error('x')</script><img src='http://127.0.0.1:9/a.png'></body>")
    shown = opened.show(page, 390, "light")
    assert shown.width >= 1300
    assert "P 13" in shown.too_wide[0]
    assert "x" in shown.errors
    assert shown.requests == ("http://127.0.0.1:9/a.png",)


@pytest.mark.skipif(not SITE.is_dir(), reason="there is no site: make docs builds it")
@pytest.mark.parametrize("page", ["index", "howto/conntrack", "reference/scenario", "tutorial/01-first-run"])
def test_pages_of_the_site(opened: Browser, page: str) -> None:
    looked_at(opened, SITE / f"{page}.html")


def test_a_rendered_notebook(opened: Browser, tmp_path: Path) -> None:
    nbconvert = pytest.importorskip("nbconvert", reason="the docs extra is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the notebook extra is not installed")
    import nbformat

    cells = [nbformat.v4.new_markdown_cell("# A run"), nbformat.v4.new_code_cell(NOTEBOOK)]  # type: ignore[no-untyped-call]  # nbformat ships no types
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(ROOT)}}
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    text, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook)
    page = tmp_path / "notebook.html"
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    page.write_text(f"<!doctype html><html><head><meta charset='utf-8'>{viewport}</head><body>{text}</body></html>")
    for width in WIDTHS:
        shown = opened.show(page, width, "light")
        assert (shown.errors, shown.requests) == ((), ())
        assert shown.width <= width, shown.too_wide
    assert "First-packet latency" in opened.value("document.body.textContent")
