"""Where a page's links lead."""

import re
from pathlib import Path


def dead_links(page: str, folder: Path) -> list[str]:
    """Targets of a page in `folder` that are neither one of its headings nor a file."""
    heads = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in page.splitlines()}
    dead = []
    for target in re.findall(r"\]\(([^)]+)\)", page):
        name = target.replace("%40", "@").replace("%2B", "+").replace("%3D", "=")
        if not (target[1:] in heads if target.startswith("#") else (folder / name).is_file()):
            dead.append(target)
    return dead
