"""Lines that tools print before and between documents are blanked; every other line keeps its number.

Warnings of kubectl and the prompt that was copied with a command stand before documents; ``kubectl cluster-info dump``
prints the logs of Pods between them.
"""

from __future__ import annotations

import re

_BEFORE = re.compile(
    r"\A(?:\s*(?:Warning: [^\n]*|[^\n{}]*[$#%>] +(?:sudo +)?(?:kubectl|oc|helm|cat|jq|yq|curl|k) [^\n]*"
    r"|[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ [^\n]*)\n)+(?=\s*(?:[{\[]|---|apiVersion:|kind:|items:))"
)
_LOGS = re.compile(
    r"^==== START logs for container [^\n]*\n.*?(?:^==== END logs for container [^\n]*$|\Z)", re.DOTALL | re.MULTILINE
)
_LOG = "==== START logs for container "


def without_chatter(text: str) -> str:
    r"""Return a text with blank lines for those that are no part of its documents.

    >>> without_chatter("Warning: v1 Endpoints is deprecated\n{}")
    '\n{}'
    """
    text = _LOGS.sub(_blank, text) if _LOG in text else text
    return _BEFORE.sub(_blank, text, count=1)


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")
