"""One self-contained HTML page: a template, styles, scripts and compressed data, nothing fetched from anywhere.

The page of the template `NAME.html` carries the assets `base.css`, `NAME*.css` and `base.js`, `charts.js`, `NAME*.js`.
Its content security policy admits these scripts by their hashes and no request at all, so that text which came from
a user can neither run nor call home.
"""

import base64
import functools
import hashlib
import json
import zlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

PLOTLY = "plotly"


def render_page(template: str, data: Mapping[str, Any], title: str, *, charts: bool = True, **context: Any) -> str:
    """The page of `template` (a name under `templates/`, without ".html").

    Each entry of `data` becomes a compressed chunk that the scripts decode when they need it
    (`await chunk(name)`); plotly is one too, unless the page has no `charts`. `context` is what the template itself
    shows, escaped.
    """
    scripts, plotly = _script(template, charts), _plotly() if charts else ""
    return (
        _environment()
        .get_template(f"{template}.html")
        .render(
            title=title,
            style=Markup(_assets("css", "base", template)),
            script=Markup(scripts),
            hashes=[_hash(text) for text in (scripts, plotly) if text],
            chunks={
                **{name: pack(json.dumps(value, allow_nan=False)) for name, value in data.items()},
                **({PLOTLY: pack(plotly)} if charts else {}),
            },
            **context,
        )
    )


def pack(text: str) -> str:
    """`text` as base64 of zlib's deflate: inert inside HTML, and small."""
    return base64.b64encode(zlib.compress(text.encode())).decode("ascii")


def _script(template: str, charts: bool) -> str:
    return '"use strict";\n' + _assets("js", "base", *(["charts"] if charts else []), template)


def _assets(kind: str, *stems: str) -> str:
    """The assets `stem.kind` and `stem_*.kind`, in this order, joined."""
    folder = resources.files("oracle.reports") / "assets"
    names = sorted(entry.name for entry in folder.iterdir())
    wanted = [
        n for s in stems for n in names if n == f"{s}.{kind}" or (n.startswith(f"{s}_") and n.endswith(f".{kind}"))
    ]
    return "\n".join((folder / name).read_text("utf-8") for name in wanted)


@functools.cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - five megabytes, read only for pages

    return get_plotlyjs()


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("oracle.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
