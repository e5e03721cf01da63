"""Each rule for lessons lets a good notebook pass and notices a bad one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from nbformat.v4 import new_output
from nbformat.validator import DuplicateCellId

from helpers.frames import Slider
from tests.notebooks import guards
from tests.notebooks.conftest import CLOSING, TITLE, good_notebook, picture, printed, prose
from tests.notebooks.store import LessonFailed

Write = Callable[..., Path]

RULES = [*guards.RULES, lambda path: guards.links_lead_somewhere(path, path.parent)]


@pytest.mark.parametrize("rule", RULES)
def test_a_good_notebook_breaks_no_rule(rule: Callable[[Path], list[str]], lesson: Write) -> None:
    assert rule(lesson()) == []


def put(source: str) -> Callable[[Any], None]:
    """A change: one more Markdown cell before the last."""
    return lambda notebook: notebook.cells.insert(-1, prose(source, "added"))


@pytest.mark.parametrize("counts", [(None, None), (1, 3), (2, 1)])
def test_cells_that_were_not_run_in_order_are_noticed(counts: tuple[int | None, int | None], broken: Write) -> None:
    def change(notebook: Any) -> None:
        notebook.cells[2].execution_count, notebook.cells[3].execution_count = counts

    assert "run.py notebooks 09-example" in guards.executed_in_order(broken(change))[0]


def test_a_notebook_without_code_is_noticed(broken: Write) -> None:
    path = broken(lambda notebook: notebook.update(cells=notebook.cells[:2]))
    assert len(guards.executed_in_order(path)) == 1


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"kernelspec": {', '"vscode": {}, "kernelspec": {'),
        ('"name": "python3"', '"name": "my-env"'),
        ('"name": "python",', '"name": "python", "version": "3.11.7",'),
        ('"metadata": {},', '"metadata": {"collapsed": true},'),
        ('"execution_count": 1,', '"execution_count":  1,'),
    ],
)
def test_what_an_editor_leaves_behind_is_noticed(was: str, becomes: str, lesson: Write) -> None:
    path = lesson()
    text = path.read_text("utf-8")
    assert was in text
    path.write_text(text.replace(was, becomes, 1), "utf-8")
    assert len(guards.in_stored_form(path)) == 1


def test_a_big_notebook_is_noticed(broken: Write) -> None:
    assert "200,000 is the limit" in guards.small(broken(put("x" * 200_000)))[0]


def test_a_long_cell_is_noticed(broken: Write) -> None:
    (found,) = guards.short_cells(broken(lambda notebook: notebook.cells[2].update(source="x = 1\n" * 17)))
    assert "has 17 lines, and 16 is the limit" in found


def test_two_cells_with_one_id_are_noticed(lesson: Write) -> None:
    path = lesson()
    path.write_text(path.read_text("utf-8").replace('"id": "code-2"', '"id": "code-1"'), "utf-8")
    with pytest.warns(DuplicateCellId):
        assert len(guards.in_stored_form(path)) == 1


def test_a_cell_loosened_by_a_tag_is_noticed(broken: Write) -> None:
    tags = ["raises-exception", "nbval-" + "ignore-output", "harmless"]
    path = broken(lambda notebook: notebook.cells[2].metadata.update(tags=tags))
    assert guards.fully_compared(path) == ["cell code-1 is loosened by nbval-ignore-output, raises-exception"]


def test_a_cell_loosened_by_a_comment_is_noticed(broken: Write) -> None:
    path = broken(lambda notebook: notebook.cells[2].update(source="# NBVAL" + "_SKIP\nprint(1)"))
    assert len(guards.fully_compared(path)) == 1


def test_a_silent_notebook_is_noticed(broken: Write) -> None:
    def change(notebook: Any) -> None:
        notebook.cells[2].outputs = notebook.cells[3].outputs = []

    assert guards.shows_something(broken(change)) == ["2 of 2 code cells show nothing"]


def test_a_stored_warning_is_noticed(broken: Write) -> None:
    path = broken(lambda notebook: notebook.cells[2].outputs.append(printed("Deprecated", "stderr")))
    assert guards.succeeds(path) == ["code cell 1 warns: Deprecated"]


def exercises_last() -> str:
    return CLOSING.replace("## Exercises", "") + "\n## Exercises\n"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put("# A second title"), "the only one of its level"),
        (put("#### Deep down"), "a level is left out"),
        (
            lambda notebook: notebook.cells[-1].update(source=CLOSING.replace("## Recap", "## Summary")),
            "should be there",
        ),
        (lambda notebook: notebook.cells[-1].update(source="## Next\n## When it goes wrong\n## Recap"), "in order"),
        (lambda notebook: notebook.cells[-1].update(source=CLOSING.replace("## Exercises", "")), "should be there"),
        (lambda notebook: notebook.cells[-1].update(source=exercises_last()), "in order"),
        (lambda notebook: notebook.cells.pop(0), "the title should be the first heading"),
        (lambda notebook: notebook.cells[0].update(source="# Title only"), "the first cell should hold"),
        (lambda notebook: notebook.cells[0].update(source=TITLE.replace("40 min", "long")), "how many minutes"),
        (lambda notebook: notebook.cells[0].update(source=TITLE.replace("nothing", "")), "what is needed"),
    ],
)
def test_a_notebook_out_of_shape_is_noticed(change: Any, problem: str, broken: Write) -> None:
    assert problem in " ".join(guards.structured(broken(change)))


@pytest.mark.parametrize(
    ("promised", "lines", "problem"),
    [
        ("fetch a study; draw a frame", "- You can fetch a study.", "promises 2 outcomes (split at ;)"),
        ("fetch a study", "- You can fetch a study.\n- You can draw a frame.", "promises 1"),
        ("fetch a study, draw a frame", "- You can fetch a study.\n- You can draw a frame.", "promises 1"),
        ("fetch a study; ", "- You can fetch a study.\n- You can draw a frame.", "promises 2"),
        ("fetch a study", "You can fetch a study.", "has 0 lines"),
        ("fetch a study", "```\n- no line of the recap\n```", "has 0 lines"),
    ],
)
def test_a_recap_that_does_not_answer_the_promises_is_noticed(
    promised: str, lines: str, problem: str, broken: Write
) -> None:
    def change(notebook: Any) -> None:
        notebook.cells[0].source = TITLE.replace("fetch a study; draw a frame", promised)
        notebook.cells[-1].source = f"## Recap\n\n{lines}\n\n## Exercises\n\n- Another line.\n"

    found = guards.recapped(broken(change))
    assert len(found) == 1 and problem in found[0]


def test_a_comment_in_fenced_code_is_no_heading(broken: Write) -> None:
    assert guards.structured(broken(put("```python\n# not a title\n```"))) == []


@pytest.mark.parametrize("table", ["| a | b |\n| c | d |", "| | |\n| --- | --- |\n| c | d |", "| a | b |"])
def test_a_table_without_a_header_is_noticed(table: str, broken: Write) -> None:
    assert len(guards.tables_have_headers(broken(put(table)))) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[the next lesson](10-missing.ipynb)", "finds no file"),
        ("[the step](#nowhere)", "no nowhere in it"),
        ("[the next](09-example.ipynb#nowhere)", "no nowhere in it"),
        ("[outside](../../outside.md)", "finds no file"),
        ("read [here](09-example.ipynb)", "do not say where"),
        ("![](09-example.ipynb)", "for those who do not see it"),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(text: str, problem: str, broken: Write) -> None:
    path = broken(put(text))
    (path.parent.parent / "outside.md").write_text("outside")
    found = guards.links_lead_somewhere(path, path.parent)
    assert len(found) == 1 and problem in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "[the step](#anchored)", "[the step](09-example.ipynb#A-step)", "[the step](#a-step)",
        "[it](https://a.example)", "`[code](nowhere)`",
    ],
)  # fmt: skip
def test_a_link_that_leads_somewhere_passes(text: str, broken: Write) -> None:
    path = broken(put(text))
    assert guards.links_lead_somewhere(path, path.parent) == []


def test_a_picture_without_facts_is_noticed(broken: Write) -> None:
    path = broken(lambda notebook: notebook.cells[3].outputs.append(picture()))
    assert guards.pictures_carry_facts(path) == ["code cell 2 shows 2 pictures and 1 lines of facts"]


def test_a_picture_without_a_description_is_noticed(broken: Write) -> None:
    path = broken(lambda notebook: notebook.cells[3].outputs[0].update(metadata={}))
    assert guards.pictures_carry_facts(path) == ["code cell 2 shows a picture without a description (alt)"]


def shown(html: str, **data: str) -> Any:
    output = new_output("display_data", data={"text/html": html, **data})
    return lambda notebook: notebook.cells[2].outputs.append(output)


def test_html_beside_its_text_passes(broken: Write) -> None:
    html = "<style>p{color:inherit}</style><p class='a'>&lt;script src=x&gt; is <code>https://a.example</code></p>"
    path = broken(shown(html, **{"text/plain": "<script src=x> is https://a.example"}))
    assert guards.html_is_plain(path) == guards.no_times(path) == []


def test_a_slider_passes(broken: Write) -> None:
    html = Slider(numpy.zeros((3, 4, 5), "uint8"), "Nothing but black")._repr_html_()
    assert guards.html_is_plain(broken(shown(html, **{"text/plain": "a"}))) == []


def test_html_without_text_is_noticed(broken: Write) -> None:
    assert guards.html_is_plain(broken(shown("<p>a</p>"))) == ["code cell 1 shows HTML without the same as text"]


@pytest.mark.parametrize(
    "html",
    [
        "<script>1</script>",
        "<p onclick='f()'>a</p>",
        '<img alt="" src="https://a.example/b.png">',
        "<a href='javascript:f()'>a</a>",
        "<style>p{background:url(//a.example)}</style>",
        "<style>@import 'a.css'</style>",
        "<iframe></iframe>",
        """<p oninput="f(); const film=this.closest('figure')">a</p>""",
        '<img src="data:image/gif;base64,AA==">',
        '<img alt="" src="data:image/gif;base64,AA==">',
    ],
)
def test_html_that_runs_or_fetches_is_noticed(html: str, broken: Write) -> None:
    assert guards.html_is_plain(broken(shown(html, **{"text/plain": "a"}))) != []


def test_a_stored_time_is_noticed(broken: Write) -> None:
    path = broken(shown("<p>(the reply began after 12 ms)</p>", **{"text/plain": "a"}))
    assert len(guards.no_times(path)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "open('/ho" + "me/anna/x.dcm')",
        "/ro" + "ot/x",
        "ey" + "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.ey" + "JzdWIiOiIxIn0",
        "https://anna-lab.dic" + "om.azurehealthcareapis.com",
        "client.get(url, verify" + "=False)",
    ],
)
def test_something_private_in_code_is_noticed(text: str, broken: Write) -> None:
    assert len(guards.nothing_private(broken(lambda notebook: notebook.cells[2].update(source=text)))) == 1


def test_something_private_in_an_output_is_noticed(broken: Write) -> None:
    path = broken(lambda notebook: notebook.cells[2].outputs.append(printed("at /ho" + "me/anna and 127.0.0.1:40321")))
    assert len(guards.nothing_private(path)) == 2


def test_prose_may_warn_of_a_call_that_code_may_not_make(broken: Write) -> None:
    assert guards.nothing_private(broken(put("Never write `verify" + "=False`."))) == []


def anchored(anchors: list[str]) -> list[Any]:
    return [prose(f'<a id="{anchor}"></a>\n## {anchor}', f"step-{number}") for number, anchor in enumerate(anchors)]


def two_lessons(lesson: Write, anchors: list[str]) -> list[Path]:
    """Two notebooks that share out `anchors` between them."""
    paths = []
    for name, part in (("01-a.ipynb", anchors[:9]), ("02-b.ipynb", anchors[9:])):
        notebook = good_notebook()
        notebook.cells[1:1] = anchored(part)
        paths.append(lesson(notebook, name))
    return paths


def test_all_anchors_in_order_pass(lesson: Write) -> None:
    assert len(guards.ANCHORS) == 34
    assert guards.anchors_in_order(two_lessons(lesson, guards.ANCHORS)) == []


def test_missing_doubled_and_swapped_anchors_are_noticed(lesson: Write) -> None:
    first, second, *rest = guards.ANCHORS
    assert guards.anchors_in_order(two_lessons(lesson, [first, *rest])) == ["prerequisites is missing"]
    assert guards.anchors_in_order(two_lessons(lesson, [first, second, second, *rest])) == [
        "prerequisites occurs 2 times"
    ]
    assert guards.anchors_in_order(two_lessons(lesson, [second, first, *rest])) == [
        f"{second} stands where {first} should come"
    ]


def test_an_anchor_away_from_its_heading_is_noticed(lesson: Write) -> None:
    paths = two_lessons(lesson, guards.ANCHORS)
    text = paths[1].read_text("utf-8")
    paths[1].write_text(text.replace("## next-steps", "next-steps"), "utf-8")
    assert guards.anchors_in_order(paths) == ["next-steps does not stand at a heading"]


def test_a_file_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "09-example.ipynb"
    path.write_text("no JSON")
    with pytest.raises(LessonFailed, match="09-example.ipynb cannot be read"):
        guards.small(path) or guards.executed_in_order(path)
