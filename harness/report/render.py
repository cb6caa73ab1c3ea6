"""Pages from Jinja2 templates: all prose of reports and of the site lies in `harness/report/templates/`."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def render(template: str, **values: Any) -> str:
    """The page that a template makes of the values.

    Args:
        template: its path in `templates/`, such as `claims.md.j2`. In `*.html.j2` values are escaped.
        values: what the template names; one that it names and that is missing raises.

    Raises:
        jinja2.UndefinedError: a value is missing; jinja2.TemplateNotFound: no such template.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(enabled_extensions=("html", "html.j2"), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
