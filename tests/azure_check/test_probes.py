"""The questions beyond the lessons, and the table that their answers go to."""

import re

from azure_check.probes import PROBES
from helpers.service import REPOSITORY

TRANSACTIONS = {
    "A single part", "Accept", "Bulk update", "Delete", "Extended query tags", "Operations", "Search", "Store", "Versions",
    "Work items",
}  # fmt: skip


def test_a_topic_is_a_row_of_the_table_of_differences_or_a_transaction() -> None:
    manual = (REPOSITORY / "dicom_emulator" / "README.md").read_text("utf-8")
    table = manual.partition("## Where it differs")[2].partition("\n## ")[0]
    rows = set(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)) - {"Topic", "---"}
    topics = {probe.topic for probe in PROBES}
    assert topics - rows == TRANSACTIONS
    assert len(topics & rows) > 10


def test_no_question_is_asked_twice() -> None:
    asked = [(probe.topic, probe.question) for probe in PROBES]
    assert len(set(asked)) == len(asked)
