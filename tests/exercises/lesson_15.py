"""What is tried on the exercises of lesson 15."""

from tests.exercises.cases import Cases


def untouched_decision(status):
    return ...


def untouched_batches(sizes, most_bytes, most_files): ...


def batches(sizes, most_bytes, most_files):
    done, batch = [], []
    for size in sizes:
        if batch and (len(batch) == most_files or sum(batch) + size > most_bytes):
            done.append(batch)
            batch = []
        batch.append(size)
    return [*done, batch] if batch else done


def yielding(sizes, most_bytes, most_files):
    yield from map(tuple, batches(sizes, most_bytes, most_files))


def by_number_alone(sizes, most_bytes, most_files):
    return [sizes[start : start + most_files] for start in range(0, len(sizes), most_files)]


def without_the_last(sizes, most_bytes, most_files):
    return batches(sizes, most_bytes, most_files)[:-1]


def with_an_empty_one(sizes, most_bytes, most_files):
    return batches(sizes, most_bytes, most_files) or [[]]


CASES = {
    "15.1": Cases(
        untouched=(...,),
        right=[(12,), (1000 // 100 + 2,)],
        mistakes=[((10,), "when all goes well"), ((20,), "Only two"), ((11,), "We got 11"), (("12",), "int was asked")],
    ),
    "15.2": Cases(
        untouched=(untouched_decision,),
        right=[
            (lambda status: status in {408, 429, 502, 503, 504},),
            (lambda status: status in {408, 429} or status >= 500,),
        ],
        mistakes=[
            ((lambda status: status >= 400,), "For 409 we got True"),
            ((lambda status: status >= 500,), "Too Many Requests"),
            ((lambda status: status in {429, 503},), "For 408 we got False"),
            ((lambda status: status not in {409},), "a success"),
            ((lambda status: status >= 400 and status != 409,), "stays the same"),
            ((lambda status: "yes",), "True or False"),
            (({503},), "function"),
        ],
    ),
    "15.3": Cases(
        untouched=(untouched_batches,),
        right=[(batches,), (yielding,)],
        mistakes=[
            ((by_number_alone,), "more than 100 bytes"),
            ((lambda sizes, most_bytes, most_files: batches(sizes, most_bytes, 1000),), "more than 4 files"),
            ((lambda sizes, most_bytes, most_files: [[size] for size in sizes],), "3 would do"),
            ((without_the_last,), "there once"),
            ((with_an_empty_one,), "empty"),
            ((lambda sizes, most_bytes, most_files: sizes,), "something else than lists"),
            ((lambda sizes, most_bytes, most_files: 3,), "a list of lists"),
        ],
    ),
}
