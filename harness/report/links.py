"""Links and pictures of a page, in Markdown."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote


def heading_link(head: str) -> str:
    """A link to a heading of this page, by GitHub's rule for anchors."""
    kept = "".join(sign for sign in head.lower() if sign.isalnum() or sign in " -_")
    return f"[{head}](#{kept.replace(' ', '-')})"


def file_links(what: str, folder: str, names: Sequence[str]) -> str:
    """A line of links to files of a folder, which is quoted already."""
    return f"{what}: " + ", ".join(f"[{name}]({folder}{name})" for name in names) + "."


def picture_sections(pictures: Mapping[str, str]) -> list[str]:
    """Each picture under its title; title -> file."""
    return [f"#### {name}\n\n![{name}]({quote(file)})" for name, file in pictures.items()]
