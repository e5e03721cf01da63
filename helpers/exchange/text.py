"""An exchange as text, for terminals, tests, and whoever listens: `>` is what we sent, `<` what came back."""

from collections.abc import Sequence

from helpers.exchange.data_sets import Attribute, DataSet, DataSets
from helpers.exchange.story import Body, Bytes, Exchange, Header, Note, Part, Parts, Text


def text_of(exchanges: Sequence[Exchange]) -> str:
    return "\n\n".join("\n".join(lines_of(exchange)) for exchange in exchanges)


def lines_of(exchange: Exchange) -> list[str]:
    lines = [f"{exchange.method} {exchange.address} → {exchange.status}"]
    for arrow, message in ((">", exchange.request), ("<", exchange.reply)):
        lines += [f"{arrow} {line}" for line in header_lines(message.headers)]
        lines += [f"{arrow} {line}" for line in (body_lines(message.body) if message.body else [])]
    return [*lines, f"(the reply began after {exchange.waited})"] if exchange.waited else lines


def header_lines(headers: Sequence[Header]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]


def body_lines(body: Body) -> list[str]:
    match body:
        case Note(text):
            return [text]
        case Text(lines, more):
            return [*lines, more] if more else list(lines)
        case Bytes():
            return [bytes_line(body)]
        case Parts():
            return without_empty(*map(part_line, body.parts), body.more, body.trouble or "--…--")
        case DataSets():
            numbers = enumerate(body.data_sets, start=1)
            lines = [line for number, data_set in numbers for line in numbered(number, data_set)]
            return without_empty(body.heading, *lines, body.more)
        case DataSet():
            return data_set_lines(body)


def without_empty(*lines: str) -> list[str]:
    return [line for line in lines if line]


def bytes_line(content: Bytes) -> str:
    return " ".join(without_empty(content.remark, content.begin, f"({content.size})"))


def part_line(part: Part) -> str:
    return " | ".join(["--…", *header_lines(part.headers), bytes_line(part.content)])


def data_set_lines(data_set: DataSet) -> list[str]:
    lines = [line for attribute in data_set.attributes for line in attribute_lines(attribute)]
    absent = [line for attribute in data_set.absent for line in attribute_lines(attribute)]
    return without_empty(*lines, data_set.more, *absent, data_set.same)


def attribute_lines(attribute: Attribute) -> list[str]:
    """One attribute; the items of a sequence below it, further in."""
    lines = [f"{attribute.tag} {attribute.keyword}".strip() + f": {attribute.value}"]
    for number, item in enumerate(attribute.items, start=1):
        lines += [f"  {line}" for line in numbered(number, item)]
    return [*lines, f"  {attribute.more}"] if attribute.more else lines


def numbered(number: int, data_set: DataSet) -> list[str]:
    """The number before the first line of a data set, the rest below it."""
    lines = data_set_lines(data_set) or ["(empty)"]
    return [f"{f'{number}:' if index == 0 else '':3}{line}" for index, line in enumerate(lines)]
