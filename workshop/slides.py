"""Slides of lessons 01 to 05: python3 run.py slides FOLDER

FOLDER gets a page for each lesson, which needs no server and no network. Arrow keys turn it over; printed, each slide is a page.
Each section and each code cell of a lesson begins a slide; the outputs are those that the tests compared.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("0[1-5]-*.ipynb"))
HEADING = re.compile(r"^(?=## )", re.MULTILINE)
LINK = re.compile(r"(?<![!\w])\[([^\]\n]+)\]\((?!https?:)[^)\n]+\)")  # to a file that does not lie beside the slides

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ margin: 0; font: 1.5rem/1.4 system-ui, sans-serif; color: #1a1a1a; background: #fff }}
article {{ display: none; box-sizing: border-box; min-height: 100vh; max-width: 82rem; margin: auto; padding: 1.5rem 1.5rem 3rem }}
article:target, body:not(:has(article:target)) article:first-of-type {{ display: block }}
h1, h2 {{ margin: 0 0 1rem; line-height: 1.2 }}
pre, code {{ font-family: ui-monospace, monospace; font-size: .85em }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere }}
.highlight pre {{ padding: .7rem 1rem; background: #f3f4f6 }}
.wire {{ font-size: .8em }}
table {{ border-collapse: collapse }}
th, td {{ padding: .2em .8em; border: 1px solid #bbb; text-align: left; vertical-align: top }}
blockquote {{ margin-left: 0; padding-left: 1rem; border-left: 4px solid #2563eb }}
img {{ max-width: 100% }}
footer {{ position: fixed; right: 1rem; bottom: .5rem; font-size: 1rem; color: #555 }}
@media print {{
  article {{ display: block; zoom: 1 !important; min-height: 0; padding: 0; break-after: page }} footer {{ display: none }}
  body {{ font-size: 12pt }} pre, img, tr {{ break-inside: avoid }}
}}
{highlighting}
</style></head><body>
{slides}
<footer></footer>
<script>
const slides = [...document.querySelectorAll("article")];
const here = () => Math.max(0, slides.findIndex((slide) => "#" + slide.id === location.hash));
const go = (to) => {{ location.replace("#" + slides[Math.min(Math.max(to, 0), slides.length - 1)].id); }};
const show = () => {{
  const slide = slides[here()];
  slide.style.zoom = 1;
  slide.style.zoom = Math.max(0.65, Math.min(1, innerHeight / slide.scrollHeight));  // what is longer still, is scrolled
  document.querySelector("footer").textContent = `${{here() + 1}} / ${{slides.length}}`;
  scrollTo(0, 0);
}};
const keys = {{ ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1, Home: -Infinity, End: Infinity }};
addEventListener("keydown", (event) => {{
  if (event.key in keys && !event.altKey && !event.ctrlKey && !event.metaKey) {{ event.preventDefault(); go(here() + keys[event.key]); }}
}});
for (const event of ["hashchange", "resize", "load"]) addEventListener(event, show);
</script></body></html>
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py slides", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("folder", type=Path, help="where the pages go; made if it is not there")
    folder = parser.parse_args().folder
    pages = {folder / f"{lesson.stem}.html": lesson for lesson in LESSONS}
    if there := [page.name for page in pages if page.exists()]:
        print(f"{', '.join(there)} would be overwritten. Name another folder, or remove them.", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for page, lesson in pages.items():
        page.write_text(page_of(lesson), "utf-8")
    print(f"{len(pages)} pages of slides are in {folder}. Open {next(iter(pages))} in a browser; the arrow keys turn them over.")
    return 0


def page_of(lesson: Path) -> str:
    exporter = HTMLExporter(template_name="basic", embed_images=True, exclude_anchor_links=True, exclude_input_prompt=True,
                            exclude_output_prompt=True)  # fmt: skip
    notebook = nbformat.read(lesson, as_version=4)
    title = re.search(r"^# (.*)", notebook.cells[0].source, re.MULTILINE)[1]
    slides = []
    for number, cells in enumerate(slides_of(notebook.cells), 1):
        part = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
        html, _ = exporter.from_notebook_node(part, {"metadata": {"path": str(lesson.parent)}})
        slides.append(f'<article id="{number}">\n{html}\n</article>')
    return PAGE.format(title=escape(title), highlighting=HtmlFormatter().get_style_defs(".highlight"), slides="\n".join(slides))


def slides_of(cells: list[NotebookNode]) -> Iterator[list[NotebookNode]]:
    """The cells of each slide. A slide begins with a heading or with code, and what is said about the code is on it too."""
    slide: list[NotebookNode] = []
    for piece in pieces(cells):
        if slide and (piece.cell_type == "code" or piece.source.startswith("#")):
            yield slide
            slide = []
        slide.append(piece)
    yield slide


def pieces(cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    """The cells, texts cut at their headings. Links to other files are plain words."""
    for cell in cells:
        if cell.cell_type == "code":
            yield cell
            continue
        for text in HEADING.split(LINK.sub(r"\1", cell.source)):
            if text.strip():
                yield nbformat.v4.new_markdown_cell(text)


if __name__ == "__main__":
    sys.exit(main())
