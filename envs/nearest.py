"""The hint for a name that was not found, the same sentence everywhere."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def near(name: str, known: Sequence[str]) -> str:
    """Return "did you mean A or B?" with the closest known names, or the first of all there are."""
    plain = {other.lower(): other for other in known}
    asked = name.lower()
    begin = [other for other in plain if asked and other.startswith(asked)]
    close = list(dict.fromkeys(begin + difflib.get_close_matches(asked, plain, 3, 0.5)))[:3]
    if close:
        return f"did you mean {' or '.join(plain[other] for other in close)}?"
    listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return f"there are {listed}" if known else "there are none"
