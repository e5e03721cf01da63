"""Build the site: python3 run.py site [--out DIR] [--pdf]

Lays out a copy of the lessons and manuals as Sphinx reads them, has it made into pages, and checks every link and that no
page needs another machine. Works without a network.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md", "CONTRIBUTING.md", "dicom_emulator/README.md", "workshop/instructor-guide.md", "workshop/field-report.md",
    "workshop/hub/README.md", "workshop/cluster/README.md",
]  # fmt: skip
PICTURES = ["docs/lesson-00.png", "docs/home-page.png"]
STATUS = ROOT / "build" / "lesson-status.json"  # what the last test run wrote: see conftest.py
# What the last run.py azure-check wrote: this machine's own, or else the one that was committed.
AZURE_STATUS = [ROOT / "build" / "azure-check" / "status.json", ROOT / "docs" / "azure-status.json"]
PRINTED = (
    "The lessons with the outputs that they print, and the solutions of their exercises. To run them, take a copy of the "
    "repository and type `python3 run.py lab`."
)
A_FOLDER = re.compile(r"\]\(([\w./-]*)/\)")  # a link to a folder of the repository
A_SOLUTION = re.compile(r"<details>(?=\s*<summary>Solution)")
AN_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>\n*')


class BuildFailed(Exception):
    """The site is not as it should be; the text says where."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py site", description=__doc__.split("\n\n")[1])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="where the pages go (build/site)")
    parser.add_argument("--pdf", action="store_true", help="print the course as one PDF file as well, with Chromium")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        build(options.out, pdf=options.pdf)
    except BuildFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"Built in {time.monotonic() - started:.0f} s. Open {options.out / 'index.html'}")
    return 0


def build(out: Path, pdf: bool = False) -> None:
    if out.exists() and any(out.iterdir()) and not (out / ".buildinfo").exists():
        raise BuildFailed(f"{out} holds files that are no site, and would be emptied. Name another folder with --out.")
    source = ROOT / "build" / "site-source"
    lay_out(source)
    run_sphinx("html", source, out)
    shutil.copy(source / "notebooks" / "cheat-sheet.html", out / "notebooks")
    checked = Links(out)
    print(
        f"{checked.pages} pages, {checked.inside} links within the site, {checked.outside} to elsewhere (not followed)"
    )
    if checked.problems:
        raise BuildFailed("\n".join(checked.problems))
    if pdf:
        print_pdf(source, out)


# The pages as Sphinx reads them


def lay_out(source: Path) -> None:
    """Everything at the place it has in the repository, so that links between files hold as they are."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(
        ROOT / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns(".*", "*.py", "__pycache__")
    )
    for path in (source / "notebooks").glob("*.ipynb"):
        path.write_text(json.dumps(anchored(described(json.loads(path.read_text("utf-8"))))), "utf-8")
    for name in [*PAGES, *PICTURES]:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for name in PAGES:
        page = source / name
        page.write_text(A_FOLDER.sub(r"](\1/index.md)", page.read_text("utf-8")), "utf-8")
    for name in linked_files(source):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    (source / "index.md").write_text(index.replace("LESSONS", "\n".join(map(entry, lessons(source)))), "utf-8")
    (source / "status.md").write_text(status_page(), "utf-8")
    (source / "helpers").mkdir(exist_ok=True)
    (source / "helpers" / "index.md").write_text(helpers_page(), "utf-8")


def lessons(source: Path) -> list[Path]:
    return sorted((source / "notebooks").glob("[0-9]*.ipynb"))


def entry(lesson: Path) -> str:
    """The lesson in the table of contents: its number, and its title as far as the colon."""
    title = json.loads(lesson.read_text("utf-8"))["cells"][0]["source"]
    heading = re.search(r"^# (.*?)(?::|$)", "".join(title), re.MULTILINE)[1]
    return f"{lesson.stem[:2]} {heading} <notebooks/{lesson.stem}>"


def described(notebook: dict) -> dict:
    """Gives each picture its alternative text where myst-nb looks for it: with the cell, not with the output."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
    return notebook


def anchored(notebook: dict) -> dict:
    """Writes anchors as Sphinx knows them, so that links to them are checked and hold."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = AN_ANCHOR.sub(r"(\1)=\n", "".join(cell["source"]))
    return notebook


def linked_files(source: Path) -> set[str]:
    """Files of the repository, neither pages nor pictures, to which a page links: they are offered for download."""
    found = set()
    for name in PAGES:
        for link in re.findall(r"\]\(([\w./-]+)\)", (source / name).read_text("utf-8")):
            file = (ROOT / name).parent / link
            if file.is_file() and not (source / file.relative_to(ROOT)).exists():
                found.add(file.relative_to(ROOT).as_posix())
    return found


def helpers_page() -> str:
    """What the docstrings of the helpers say."""
    lines = [
        "# The helpers",
        "",
        "What the lessons import: `from helpers import …`. The code is small, and meant to be read.",
        "",
    ]
    for path in sorted((ROOT / "helpers").glob("*.py")):
        if path.stem in ("__init__", "conftest", "doctor"):
            continue
        module = f"helpers.{path.stem}"
        lines += [f"## {module}", "", "```{eval-rst}", f".. automodule:: {module}", "   :members:", "```", ""]
    return "\n".join(lines)


def status_page() -> str:
    lines = ["# Status", "", "What the last test run found that was on record when these pages were built.", ""]
    if STATUS.exists():
        lines += status_tables(STATUS)
    else:
        lines += ["None was on record. `python3 run.py test notebooks` makes one.", ""]
    lines += ["## On a service that is no emulator", "", "What the last `python3 run.py azure-check` found.", ""]
    if azure := next((file for file in AZURE_STATUS if file.exists()), None):
        lines += status_tables(azure)
    else:
        lines += ["None was on record.", ""]
    return "\n".join(lines)


def status_tables(file: Path) -> list[str]:
    """A table of the lessons and one of the versions, of a file that a run has written."""
    status = json.loads(file.read_text("utf-8"))
    lines = ["| Lesson | Last verified | Result | Seconds | Server |", "| --- | --- | --- | --- | --- |"]
    for name, row in sorted(status["lessons"].items()):
        lines.append(
            f"| [{name}](notebooks/{name}.ipynb) | {row['date']} | {row['result']} | {row['seconds']:.1f} | {row['server']} |"
        )
    lines += ["", "| Versions of | |", "| --- | --- |"]
    lines += [f"| {name} | {version} |" for name, version in status["versions"].items()]
    return [*lines, ""]


def print_pdf(source: Path, out: Path) -> None:
    """All lessons and the glossary as one page, which Chromium prints."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        raise BuildFailed("There is no Chromium to print with. On Debian: sudo apt-get install chromium")
    course, page = source.with_name("site-course"), source.with_name("site-page")
    shutil.rmtree(course, ignore_errors=True)
    shutil.copytree(source / "notebooks", course / "notebooks")
    (course / "index.md").write_text(front_page(source), "utf-8")
    run_sphinx("singlehtml", course, page, "-D", "html_theme=basic", "-D", "html_css_files=print.css")
    html = (page / "index.html").read_text("utf-8")
    (page / "index.html").write_text(A_SOLUTION.sub("<details open>", html), "utf-8")  # on paper nothing unfolds
    file = out / "learn-dicomweb.pdf"
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    printing = ["--no-pdf-header-footer", f"--print-to-pdf={file}", (page / "index.html").as_uri()]
    subprocess.run([*command, *printing], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")


def front_page(source: Path) -> str:
    """The title, what there is, and after it all of that."""
    entries = [*map(entry, lessons(source)), "Glossary <notebooks/glossary>"]
    contents = "\n".join(re.sub(r"(.*) <(.*)>", r"- [\1](\2)", each) for each in entries)
    toctree = "\n".join(["```{toctree}", *entries, "```"])
    return "\n\n".join(["# Learn DICOMweb with Python", PRINTED, contents, toctree]) + "\n"


def run_sphinx(builder: str, source: Path, out: Path, *options: str) -> None:
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        builder,
        "-c",
        str(ROOT / "docs"),
        "-W",
        "--keep-going",
        "-q",
        "-E",
    ]
    doctrees = source.parent / f"site-doctrees-{builder}"
    done = subprocess.run([*command, "-d", str(doctrees), *options, str(source), str(out)], cwd=ROOT)
    if done.returncode:
        raise BuildFailed("Sphinx found something wrong; see above.")


# The pages as a browser reads them


class Page(HTMLParser):
    """What a page names: its anchors, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.undescribed = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag == "link" and values.get("href") and values.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(values["href"])
        elif tag in ("script", "img", "iframe", "source", "video", "audio") and values.get("src"):
            self.loaded.append(values["src"])
        if (
            tag == "img" and (values.get("alt") or values["src"]) in values["src"]
        ):  # Sphinx makes do with the file's name
            self.undescribed += 1


class Links:
    """Follows each link of a folder of pages. `problems` has a sentence for each that leads nowhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
        self.pages, self.inside, self.outside = len(self.read), 0, 0
        self.problems = [problem for path in self.read for problem in self.check(path)]

    def check(self, path: Path) -> Iterator[str]:
        page, name = self.read[path], path.relative_to(self.folder)
        for link in page.links:
            if urlsplit(link).scheme:
                self.outside += 1
                continue
            self.inside += 1
            if problem := self.leads_nowhere(path, link):
                yield f"{name}: the link {link} {problem}"
        for address in page.loaded:
            if address.startswith("data:"):
                continue
            if urlsplit(address).netloc:
                yield f"{name}: loads {address}, which is on another machine"
            elif self.leads_nowhere(path, address):
                yield f"{name}: loads {address}, which is not there"
        if page.undescribed:
            yield f"{name}: {page.undescribed} pictures have no alternative text"

    def leads_nowhere(self, path: Path, link: str) -> str | None:
        parts = urlsplit(link)
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            return "leads to no file"
        if parts.fragment and target in self.read and unquote(parts.fragment) not in self.read[target].anchors:
            return "leads to no place in that page"
        return None


if __name__ == "__main__":
    sys.exit(main())
