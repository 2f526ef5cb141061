"""Hooks of mkdocs: pages that lie outside docs/, and links that leave the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: Any) -> Files:
    """The front page is the README; change log and notebooks are pages too."""
    for page, source in (("index.md", "README.md"), ("CHANGELOG.md", "CHANGELOG.md")):
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=re.sub(r"(\]\()docs/", r"\1", text)))
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        files.append(File(f"notebooks/{notebook.name}", str(ROOT), config["site_dir"], use_directory_urls=False))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files that are not part of the site (sources, folders, data) become their text alone."""
    folder = posixpath.dirname(page.file.src_uri)

    def kept(link: re.Match[str]) -> str:
        target, hash_, anchor = link[2].partition("#")
        if "://" in target or not target:
            return link[0]
        place = posixpath.normpath(posixpath.join(folder, target))
        while place.startswith("../"):  # from a page of docs/ to one beside it, which the site has in one folder
            place = place[3:]
        if not files.get_file_from_path(place):
            return link[1]
        return f"[{link[1]}]({posixpath.relpath(place, folder or '.')}{hash_}{anchor})"

    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", kept, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Sphinx's roles in docstrings (``:meth:`~.Stage.at```) become the name alone."""
    return re.sub(r":(?:meth|class|func|mod|attr|data|exc):<code>~?\.?([^<]*)</code>", r"<code>\1</code>", html)
