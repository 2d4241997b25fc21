"""Every how-to's command runs as it stands there, and answers with the sentence that stands there, numbers aside."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "notebooks" / "howto").glob("*.md"))
QUESTIONS = {  # what the first sentence of an answer is about
    "balance": "Load of the Service",
    "conntrack": "conntrack of a node: ",
    "dns": "A lookup takes",
    "kube-proxy-cpu": "kube-proxy's CPU with",
    "late-endpoint-updates": "An update of endpoints is in force",
    "min-sync-period": "Take minSyncPeriod",
    "new-node": "Join of a node: it has no rules for",
    "pre-stop": "Take preStop",
    "services-until-a-sync-takes-a-minute": "iptables meets sync_duration.mean < 60s up to",
    "which-mode": "In Kubernetes 1.34, nftables is faster than iptables from",
}


def block(page: str, kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    assert found, f"no {kind} block"
    return found[1]


def masked(text: str) -> str:
    """Return a text as one line, with # for each number and without units' prefixes."""
    return re.sub(r"\d[\d,.]*( [mµ]?s\b)?", "#", " ".join(text.split()))


def test_the_ten_questions_have_a_page_each() -> None:
    assert {page.stem for page in PAGES} == set(QUESTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_command_answers_its_question(path: Path, tmp_path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    answer = " ".join(block(page, "text").split())
    assert answer.startswith(QUESTIONS[path.stem])
    assert "**What the model cannot say.**" in page
    program, verb, *rest = shlex.split(block(page, "sh").replace("\\\n", " "))
    assert program == "kpsim"
    quiet = [] if verb == "check" else ["--quiet", "--jobs", "1", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "kpsim.cli", verb, *rest, *quiet]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode in (0, 99), done.stderr
    assert masked(answer) in masked(done.stdout), done.stdout[:2000]
    opening = done.stdout if verb == "check" else " ".join(done.stdout.split())[:400]
    assert QUESTIONS[path.stem] in opening
