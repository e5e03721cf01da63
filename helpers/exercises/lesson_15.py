"""The exercises of lesson 15: how many requests, which of them again, and what goes into one."""

from typing import Any

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of

AGAIN = (408, 429, 502, 503, 504)
NEVER_AGAIN = (200, 202, 204, 400, 401, 403, 404, 406, 409, 413, 415)


@exercise(
    "15.1",
    hints=[
        "First count the requests that are needed when all goes well: 1,000 files, 100 in each.",
        "Each answer of 503 costs one more request, for the same batch. The other batches are not touched.",
    ],
    why="A failed request costs its own batch and nothing else. That is why batches are not too big.",
)
def requests_with_repeats(answer: Any) -> None:
    """Predict how many requests an upload takes in which two of them are answered with 503."""
    expect_type(answer, int)
    if answer == 10:
        raise NotYet("That is enough when all goes well. Two batches were not stored at the first attempt.")
    if answer == 20:
        raise NotYet("That would repeat every batch. Only two of them failed.")
    if answer != 12:
        raise NotYet(f"We got {answer:,}. Count the batches, then the repeats.")


@exercise(
    "15.2",
    hints=[
        "Ask of each status: if I send exactly the same again in a minute, can the answer be another one?",
        "The server was too slow (408), too busy (429, 503), or a gateway before it lost the request (502, 504).",
    ],
    why="A wrong file stays wrong however often you send it. A busy server does not stay busy.",
)
def worth_repeating(function: Any) -> None:
    """Repair a function that decides whether a request is sent again."""
    answers = {status: result_of(function, status) for status in (*AGAIN, *NEVER_AGAIN)}
    for status, again in answers.items():
        if not isinstance(again, bool):
            raise NotYet(f"For {status} we got {describe(again)}; True or False was asked for.")
    if answers[409]:
        raise NotYet("For 409 we got True. The server has said of each file why it is not stored: will that change?")
    if wrong := [status for status in NEVER_AGAIN if answers[status]]:
        kind = "a success" if wrong[0] < 300 else "an answer that stays the same"
        raise NotYet(f"For {wrong[0]} we got True, and that is {kind}.")
    if not answers[429]:
        raise NotYet("For 429 we got False. Its name is Too Many Requests: is it a refusal for good?")
    if missed := [status for status in AGAIN if not answers[status]]:
        raise NotYet(f"For {missed[0]} we got False. Look up its name: was anything wrong with the request?")


@exercise(
    "15.3",
    hints=[
        "Go through the sizes once, with a batch that is growing. Before you add a size, ask whether it still fits.",
        "It does not fit when the batch has most_files already, or when its sum and the size are over most_bytes. "
        "Then put the batch on the list and begin a new one. Do not forget the last batch.",
    ],
    why="This is what upload_folder does before it sends anything. A file that is too big for a batch goes alone.",
)
def batches_of_files(function: Any) -> None:
    """Write a function that sorts the sizes of files into batches that keep two limits."""
    for sizes, most_bytes, most_files, fewest in (
        ([1] * 10, 100, 4, 3),
        ([40, 40, 40, 10], 100, 10, 2),
        ([5, 200, 5], 100, 10, 3),
        ([100, 1], 100, 10, 2),
        ([50, 50], 100, 10, 1),
        ([], 100, 10, 0),
    ):
        asked = f"batches({sizes}, {most_bytes}, {most_files})"
        given = result_of(function, list(sizes), most_bytes, most_files)
        if not isinstance(given, list | tuple) and not hasattr(given, "__next__"):
            raise NotYet(f"{asked} returned {describe(given)}; a list of lists was asked for.")
        found = list(given)
        if not all(isinstance(batch, list | tuple) for batch in found):
            raise NotYet(f"{asked} returned a list of something else than lists: {found}.")
        if [size for batch in found for size in batch] != sizes:
            raise NotYet(f"{asked} returned {found}. Each size should be there once, in the same order.")
        if not all(found):
            raise NotYet(f"{asked} returned {found}: one of the batches is empty.")
        if any(len(batch) > most_files for batch in found):
            raise NotYet(f"{asked} returned {found}: a batch has more than {most_files} files.")
        if any(sum(batch) > most_bytes and len(batch) > 1 for batch in found):
            raise NotYet(f"{asked} returned {found}: a batch has more than {most_bytes} bytes.")
        if len(found) > fewest:
            raise NotYet(f"{asked} returned {found}. {fewest} would do: fill a batch before you begin another.")
