"""What every lesson must keep, each rule a function over the file: it returns a sentence for each breach, or []."""

import re
import string
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from nbformat import NotebookNode

from helpers.frames import MOVE_SLIDER
from tests import forbidden
from tests.notebooks.outputs import png_images
from tests.notebooks.store import code_cells, read, stored_form

SIZE_LIMIT = 200_000  # bytes
LONGEST_CELL = 16  # lines: one thought

# The sections of the source tutorial, in its order. Each is the anchor of the step that mirrors it.
ANCHORS = """
    using-dicomwebtrade-standard-apis-with-python
    prerequisites
    working-with-the-dicom-service
    import-the-appropriate-python-libraries
    configure-user-defined-variables-to-be-used-throughout
    authenticate-to-azure-and-get-a-token
    create-supporting-methods-to-support-multipartrelated
    create-a-requests-session
    verify-authentication-is-configured-correctly
    uploading-dicom-instances-stow
    store-instances-using-multipartrelated
    store-instances-for-a-specific-study
    store-single-instance-non-standard
    retrieve-dicom-instances-wado
    retrieve-all-instances-within-a-study
    use-the-retrieved-instances
    retrieve-metadata-of-all-instances-in-study
    retrieve-all-instances-within-a-series
    retrieve-metadata-of-all-instances-in-series
    retrieve-a-single-instance-within-a-series-of-a-study
    retrieve-metadata-of-a-single-instance-within-a-series-of-a-study
    retrieve-one-or-more-frames-from-a-single-instance
    query-dicom-qido
    search-for-studies
    search-for-series
    search-for-series-within-a-study
    search-for-instances
    search-for-instances-within-a-study
    search-for-instances-within-a-study-and-series
    delete-dicom
    delete-a-specific-instance-within-a-study-and-series
    delete-a-specific-series-within-a-study
    delete-a-specific-study
    next-steps
""".split()

SECTIONS = ["Recap", "Exercises", "When it goes wrong", "Next"]
FIRST_TABLE = ["Time", "You need", "You will be able to"]

# Each of these makes nbval compare less than everything, or nothing. A cell that needs one stands in LOOSENED.
LOOSENING_TAGS = {
    "nbval-ignore-output", "nbval-skip", "nbval-check-output", "nbval-raises-exception",
    "pytest-validate-ignore-output", "raises-exception", "skip-execution",
}  # fmt: skip
LOOSENING_COMMENT = re.compile(r"^\s*#+\s*((?:NBVAL|PYTEST)_[A-Z_]+)", re.MULTILINE)
LOOSENED: dict[str, str] = {}  # cell id -> reason

ANCHOR = re.compile(r'<a id="([^"]+)">\s*</a>')
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]*)[^)]*\)")
EMPTY_LINK_TEXTS = {"here", "this", "link", "click here", "this link", "this page", "more", ""}
FACTS = re.compile(r": \d+×\d+(?:×\d+)? u?int\d+, min -?\d+, max -?\d+, sha256 [0-9a-f]{12}")
# What runs, and what is fetched from elsewhere; an address in a text is neither.
ACTIVE_HTML = re.compile(
    r"<\s*(?:script|iframe|object|embed|link|base|form|meta|svg)\b|<[^>]*\s(?:on\w+|src|srcset|href|data|action)\s*="
    r"|javascript:|url\(|@import",
    re.IGNORECASE,
)
# The two things of show_slider that are let through: its pictures lie in the page, and what it runs is known.
IN_THE_PAGE = re.compile(rf' src="data:image/gif;base64,[A-Za-z0-9+/=]+"| oninput="{re.escape(MOVE_SLIDER)}"')
UNDESCRIBED = re.compile(r"<img(?![^>]*\salt=[\"'][^\"'])", re.IGNORECASE)
WAITED = "the reply began after"  # of show_exchange, where times are shown
OWN_ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):\d+")


def markdown(notebook: NotebookNode) -> Iterator[str]:
    """The Markdown cells, without what is code in them: fenced blocks and `code` would look like headings and links."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield without_code(cell.source)


def without_fences(text: str) -> str:
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "`code`", without_fences(text))


def headings(notebook: NotebookNode) -> list[tuple[int, str]]:
    """(level, text) of each heading, in order."""
    lines = (line for text in markdown(notebook) for line in text.splitlines())
    return [(len(match[1]), match[2]) for line in lines if (match := HEADING.match(line))]


# How it is stored


def executed_in_order(path: Path) -> list[str]:
    """nbval compares nothing in a cell without outputs and count, so each cell has to be stored executed."""
    counts = [cell.execution_count for cell in code_cells(read(path))]
    if counts == list(range(1, len(counts) + 1)) and counts:
        return []
    return [f"the code cells are stored with the counts {counts}: run.py notebooks {path.stem}"]


def in_stored_form(path: Path) -> list[str]:
    if path.read_text("utf-8") == stored_form(read(path)):
        return []
    return [f"not in the form that is stored (editor metadata, kernel name, times …): run.py notebooks {path.stem}"]


def small(path: Path) -> list[str]:
    size = path.stat().st_size
    return [f"{size:,} bytes, and {SIZE_LIMIT:,} is the limit"] if size >= SIZE_LIMIT else []


def short_cells(path: Path) -> list[str]:
    lengths = {cell.id: len(cell.source.splitlines()) for cell in code_cells(read(path))}
    return [
        f"{name} has {length} lines, and {LONGEST_CELL} is the limit: split it where a new thought begins"
        for name, length in lengths.items()
        if length > LONGEST_CELL
    ]


# How it is compared


def fully_compared(path: Path) -> list[str]:
    found = []
    for cell in read(path).cells:
        loosening = LOOSENING_TAGS & set(cell.metadata.get("tags", []))
        if cell.cell_type == "code":
            loosening |= set(LOOSENING_COMMENT.findall(cell.source))
        if loosening and cell.get("id") not in LOOSENED:
            found.append(f"cell {cell.get('id')} is loosened by {', '.join(sorted(loosening))}")
    return found


def shows_something(path: Path) -> list[str]:
    """On success the source showed nothing in 24 of 26 cells, and nobody could tell success from failure."""
    cells = code_cells(read(path))
    silent = [cell for cell in cells if not cell.outputs]
    return [f"{len(silent)} of {len(cells)} code cells show nothing"] if 2 * len(silent) > len(cells) else []


def succeeds(path: Path) -> list[str]:
    """A stored error or warning is what a learner would see."""
    found = []
    for number, cell in enumerate(code_cells(read(path)), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"code cell {number} ends with {output.ename}: {output.evalue}")
            elif output.get("name") == "stderr":
                found.append(f"code cell {number} warns: {output.text.strip()[:100]}")
    return found


# How it reads


def structured(path: Path) -> list[str]:
    """One title with its table below, no level of heading left out, the closing sections there and in order."""
    notebook = read(path)
    found = []
    levels = [level for level, _ in headings(notebook)]
    if levels.count(1) != 1 or levels[0] != 1:
        found.append(f"the title should be the first heading and the only one of its level; the levels are {levels}")
    found += [
        f"after {'#' * level} comes {'#' * following}: a level is left out"
        for level, following in pairwise(levels)
        if following > level + 1
    ]
    closing = [text for level, text in headings(notebook) if level == 2 and text in SECTIONS]
    if closing != SECTIONS:
        found.append(f"the sections {SECTIONS} should be there, once and in order; found: {closing}")
    return found + title_table(notebook)


def table_rows(text: str) -> list[list[str]]:
    """The cells of each table row in `text`, the header first and the row of dashes second."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def title_table(notebook: NotebookNode) -> list[str]:
    first = notebook.cells[0] if notebook.cells else NotebookNode(cell_type="", source="")
    cells = table_rows(first.source)
    if first.cell_type != "markdown" or not cells or cells[0] != FIRST_TABLE:
        return [f"the first cell should hold the title and a table with the columns {FIRST_TABLE}"]
    if len(cells) < 3 or not re.match(r"\d+ min", cells[2][0]) or not all(cells[2]):
        return ["the table under the title should say how many minutes, what is needed, and what can be done after"]
    return []


def recapped(path: Path) -> list[str]:
    """The recap has one line for each outcome of the title's table, where semicolons stand between the outcomes."""
    notebook = read(path)
    rows = table_rows(notebook.cells[0].source) if notebook.cells else []
    promised = [each.strip() for each in rows[2][-1].split(";")] if len(rows) > 2 else []
    answered = [line for line in section(notebook, "Recap") if line.startswith("- ")]
    if len(promised) == len(answered) and all(promised):
        return []
    return [f"the table promises {len(promised)} outcomes (split at ;), and the recap has {len(answered)} lines"]


def section(notebook: NotebookNode, title: str) -> list[str]:
    """The lines below the heading `## title`, up to the next heading of its level."""
    found, inside = [], False
    for line in "\n".join(markdown(notebook)).splitlines():
        if (match := HEADING.match(line)) and len(match[1]) <= 2:
            inside = match[2] == title
        elif inside:
            found.append(line)
    return found


def tables_have_headers(path: Path) -> list[str]:
    """A row of dashes comes second, and the row above it is not empty, or a listener does not know what a column is."""
    found = []
    for text in markdown(read(path)):
        previous = ""
        for header, below in pairwise([*text.splitlines(), ""]):
            starts = header.startswith("|") and not previous.startswith("|")
            if starts and not (re.fullmatch(r"[|:\s-]+", below) and header.strip("| ")):
                found.append(f"a table without a header row: {header}")
            previous = header
    return found


def links_lead_somewhere(path: Path, root: Path) -> list[str]:
    """Each link to a file finds it inside `root`, each #anchor its target, and its text says where it leads."""
    found = []
    for text in markdown(read(path)):
        for picture, words, target in LINK.findall(text):
            if picture and not words:
                found.append(f"the picture {target} has no text for those who do not see it")
            elif words.strip().lower() in EMPTY_LINK_TEXTS:
                found.append(f"the words [{words}] do not say where {target} leads")
            if not re.match(r"(https?|mailto):", target):
                found += broken(path, target, root)
    return found


def broken(path: Path, target: str, root: Path) -> list[str]:
    name, _, anchor = unquote(target).partition("#")
    file = (path.parent / name).resolve() if name else path
    if not file.exists() or not file.is_relative_to(root.resolve()):
        return [f"the link to {target} finds no file"]
    if anchor and anchor not in targets(file):
        return [f"the link to {target} finds its file, but no {anchor} in it"]
    return []


def targets(file: Path) -> set[str]:
    """Where a link into `file` can lead: its <a id>, and its headings, as JupyterLab and as GitHub write them."""
    if file.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in read(file).cells if cell.cell_type == "markdown")
    else:
        text = file.read_text("utf-8")
    found = set(ANCHOR.findall(text))
    for line in without_fences(text).splitlines():
        if match := HEADING.match(line):
            as_jupyter = match[2].replace("`", "").replace(" ", "-")
            kept = "-_" + string.ascii_letters + string.digits
            found |= {as_jupyter, "".join(c for c in as_jupyter.lower() if c in kept or not c.isascii())}
    return found


def pictures_carry_facts(path: Path) -> list[str]:
    """Each picture has a line of facts in the text of its cell, and a description."""
    found = []
    for number, cell in enumerate(code_cells(read(path)), start=1):
        pictures = len(png_images(cell.outputs))
        printed = "\n".join(output.text for output in cell.outputs if output.output_type == "stream")
        if pictures > len(FACTS.findall(printed)):
            found.append(
                f"code cell {number} shows {pictures} pictures and {len(FACTS.findall(printed))} lines of facts"
            )
        for output in cell.outputs:
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                found.append(f"code cell {number} shows a picture without a description (alt)")
    return found


def html_is_plain(path: Path) -> list[str]:
    """HTML has the same story as text beside it, runs nothing but a slider's one line, and fetches nothing."""
    found = []
    for number, cell in enumerate(code_cells(read(path)), start=1):
        for output in cell.outputs:
            data = output.get("data", {})
            html = data.get("text/html", "")
            if html and not data.get("text/plain", "").strip():
                found.append(f"code cell {number} shows HTML without the same as text")
            found += [f"code cell {number} shows HTML with {match}" for match in ACTIVE_HTML.findall(IN_THE_PAGE.sub("", html))]
            found += [f"code cell {number} shows HTML with a picture that has no alt" for _ in UNDESCRIBED.findall(html)]
    return found


def no_times(path: Path) -> list[str]:
    """How long a reply took is for the learner who waits, and another time on each run."""
    return [
        f"code cell {number} says how long a reply took: run.py notebooks {path.stem}"
        for number, cell in enumerate(code_cells(read(path)), start=1)
        if any(WAITED in output_text(output) for output in cell.outputs)
    ]


def nothing_private(path: Path) -> list[str]:
    """No token, no path, no server of somebody's own, no TLS without check: in code, prose and outputs alike.

    Prose may name what in_code() looks for, to warn of it.
    """
    found = []
    for index, cell in enumerate(read(path).cells):
        problems = forbidden.in_text(cell.source) if cell.cell_type != "code" else forbidden.in_code(cell.source)
        for text in map(output_text, cell.get("outputs", [])):
            problems += forbidden.in_text(text)
            problems += [f"the address of one run: {match}" for match in OWN_ADDRESS.findall(text)]
        found += [f"cell {index}: {problem}" for problem in problems]
    return found


def output_text(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join([output.evalue, *output.traceback])
    return "\n".join(str(content) for kind, content in output.data.items() if kind != "image/png")


# What it mirrors


def anchors_in_order(paths: list[Path]) -> list[str]:
    """Every section of the source is there once, in the source's order, at a heading of the lesson that mirrors it."""
    found, at_heading = [], []
    for path in paths:
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                here = [anchor for anchor in ANCHOR.findall(cell.source) if anchor in ANCHORS]
                found += here
                at_heading += [anchor for anchor in here if heading_near(cell.source, anchor)]
    problems = [f"{anchor} is missing" for anchor in ANCHORS if anchor not in found]
    problems += [f"{anchor} occurs {found.count(anchor)} times" for anchor in ANCHORS if found.count(anchor) > 1]
    problems += [f"{anchor} does not stand at a heading" for anchor in found if anchor not in at_heading]
    if not problems and found != ANCHORS:
        first = next(index for index, (one, other) in enumerate(zip(found, ANCHORS)) if one != other)
        problems.append(f"{found[first]} stands where {ANCHORS[first]} should come")
    return problems


def heading_near(text: str, anchor: str) -> bool:
    """Whether the line of the anchor, or the next one that is not empty and no anchor, is a heading."""
    lines = [line for line in text.splitlines() if line.strip()]
    start = next(index for index, line in enumerate(lines) if f'id="{anchor}"' in line)
    rest = [ANCHOR.sub("", line).strip() for line in lines[start:]]
    return bool(HEADING.match(next(filter(None, rest), "")))


# Those that look at one lesson alone.
RULES = [
    executed_in_order,
    in_stored_form,
    small,
    short_cells,
    fully_compared,
    shows_something,
    succeeds,
    structured,
    recapped,
    tables_have_headers,
    pictures_carry_facts,
    html_is_plain,
    no_times,
    nothing_private,
]
