"""An exchange as HTML, for notebooks: request and reply side by side, long things folded.

Everything that came over the wire is escaped and stands in <code> or <pre>, where no front end looks for mathematics.
Nothing is fetched and nothing runs. A front end that does not trust a notebook takes out <style>, and GitHub takes
the style attributes as well: the order of the page and its tables tell the story without them.
"""

from collections.abc import Iterable, Sequence
from html import escape

from helpers.exchange.data_sets import Attribute, DataSet, DataSets
from helpers.exchange.story import Body, Bytes, Exchange, Header, Message, Note, Part, Parts, Text
from helpers.exchange.words import counted

# Colours are those of the page: JupyterLab names them, elsewhere the text's own is taken. So it is light or dark.
# The class stands twice, which weighs more than JupyterLab's own rules.
STYLE = """<style>
.wire{border-left:3px solid var(--jp-border-color1,currentColor);padding-left:.8em;margin:.3em 0}
.wire.wire p,.wire.wire pre,.wire.wire ul,.wire.wire table{margin:.2em 0}
.wire.wire ul{list-style:none;padding-left:0}
.wire.wire details details,.wire.wire details>ul{margin-left:.4em;padding-left:.7em;\
border-left:1px solid var(--jp-border-color1,currentColor)}
.wire.wire table{table-layout:auto;border-collapse:collapse}
.wire.wire caption{text-align:left;font-weight:bold}
.wire.wire td,.wire.wire th{vertical-align:top;padding:.1em 1em .1em 0}
.wire code,.wire pre{color:inherit!important;background:none!important;padding:0!important;\
overflow-wrap:anywhere;white-space:pre-wrap;word-break:normal!important}
.wire summary{cursor:pointer}
</style>"""
LEFT = 'style="text-align:left"'  # JupyterLab's tables stand to the right, also where <style> was taken out
SIDES = 'style="display:flex;flex-wrap:wrap;gap:0 2em"'
SIDE = 'style="flex:1 1 22em;min-width:0"'


def page_of(exchanges: Sequence[Exchange]) -> str:
    return STYLE + "\n".join(map(exchange_html, exchanges))


def exchange_html(exchange: Exchange) -> str:
    waited = f"<p>(the reply began after {escape(exchange.waited)})</p>" if exchange.waited else ""
    return (
        f'<div class="wire"><p><strong>{code(f"{exchange.method} {exchange.address}")} → '
        f"{code(exchange.status)}</strong>: {escape(exchange.meaning)}</p>{waited}\n"
        f"<div {SIDES}>{side('Request', exchange.request)}\n{side('Reply', exchange.reply)}</div></div>"
    )


def side(name: str, message: Message) -> str:
    body = body_html(message.body) if message.body else ""
    return f"<section {SIDE}><p><strong>{name}</strong></p>{header_list(message.headers)}{body}</section>"


def header_list(headers: Sequence[Header]) -> str:
    return listed(code(f"{name}: {value}") for name, value in headers)


def body_html(body: Body) -> str:
    match body:
        case Note(text):
            return paragraph(text)
        case Text(lines, more):
            return pre(lines) + paragraph(more)
        case Bytes():
            return f"<p>{bytes_html(body)} ({escape(body.size)})</p>{dump_html(body)}"
        case Parts():
            return parts_table(body) + paragraph(body.more) + f"<p>{code(body.trouble)}</p>" * bool(body.trouble)
        case DataSets():
            numbers = enumerate(body.data_sets, start=1)
            items = "".join(folded(f"data set {number}", data_set_html(each)) for number, each in numbers)
            return paragraph(body.heading) + items + paragraph(body.more)
        case DataSet():
            return data_set_html(body)


def bytes_html(content: Bytes) -> str:
    return f"{escape(content.remark)} {code(content.begin)}" if content.remark else code(content.begin)


def dump_html(content: Bytes) -> str:
    if not content.dump:
        return ""
    return folded("first bytes: position, hex, text", pre(content.dump), is_open=False)


def parts_table(parts: Parts) -> str:
    if not parts.parts:
        return ""
    rows = "".join(map(part_row, range(1, len(parts.parts) + 1), parts.parts))
    heads = "".join(f'<th scope="col" {LEFT}>{name}</th>' for name in ("Part", "Headers", "Size", "Begins with"))
    caption = f"Body: {counted(len(parts.parts), 'part')}{' and more' if parts.more else ''}"
    return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def part_row(number: int, part: Part) -> str:
    headers = "<br>".join(code(f"{name}: {value}") for name, value in part.headers)
    syntax = f"<br>({escape(part.syntax)})" if part.syntax else ""
    return (
        f'<tr><th scope="row" {LEFT}>{number}</th><td {LEFT}>{headers}{syntax}</td>'
        f"<td {LEFT}>{escape(part.content.size)}</td>"
        f"<td {LEFT}>{bytes_html(part.content)}{dump_html(part.content)}</td></tr>"
    )


def data_set_html(data_set: DataSet) -> str:
    attributes = [*map(attribute_html, data_set.attributes), escape(data_set.more)]
    attributes += [*map(attribute_html, data_set.absent), escape(data_set.same)]
    return listed(line for line in attributes if line) or paragraph("(empty)")


def attribute_html(attribute: Attribute) -> str:
    kind = f" <small>{code(attribute.vr)}</small>" if attribute.vr else ""
    name = f"{code(attribute.tag)} <b>{escape(attribute.keyword)}</b>{kind}: "
    if not attribute.items:
        return name + code(attribute.value)
    numbers = enumerate(attribute.items, start=1)
    items = "".join(folded(f"item {number}", data_set_html(item)) for number, item in numbers)
    return folded(name + escape(attribute.value), items + paragraph(attribute.more), is_html=True)


# ------------------------------------------------------------------------------------------------------ small pieces


def code(text: str) -> str:
    return f"<code>{escape(text, quote=False)}</code>" if text else ""


def pre(lines: Iterable[str]) -> str:
    return f"<pre>{escape(chr(10).join(lines), quote=False)}</pre>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def listed(lines: Iterable[str]) -> str:
    items = "\n".join(f"<li>{line}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def folded(summary: str, content: str, is_open: bool = True, is_html: bool = False) -> str:
    words = summary if is_html else escape(summary)
    return f"<details{' open' if is_open else ''}><summary>{words}</summary>{content}</details>"
