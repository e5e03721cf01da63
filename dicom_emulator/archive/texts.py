"""What searches have found: which rows, until anything changes; the text of each, until something in its study does."""

import threading
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager

MOST = 8 * 1024 * 1024  # characters that are remembered
EACH = 300  # characters that as much memory holds as a text takes up besides its own
MOST_SEARCHES = 1000  # whose rows are remembered
Kind = tuple[str, frozenset[int]]  # level and attributes of a row
Row = tuple[int, int, str]  # the keys of its study and its own, and its text


class Texts:
    """What is remembered, and the edition of the index that it belongs to.

    A text says nothing but what the index and the metadata have of one study: columns of the study and the series,
    counts of instances and modalities below them, and the metadata of the row's newest instance. So whoever writes
    has all texts of a study forgotten when anything of it changes. Which rows a search finds may depend on all that
    there is.

    edition: another number after each change; an odd one while it becomes visible. Whoever finds it even and
    unchanged after having read has read what it belongs to.
    """

    def __init__(self) -> None:
        self.edition = 0
        self._texts: dict[Kind, dict[int, str]] = {}  # by the key of the row
        self._of_study: dict[int, list[tuple[Kind, int]]] = {}  # the kinds and keys of its rows that are in there
        self._size = 0
        self._found: dict[Hashable, list[int]] = {}  # the keys of rows, by search
        self._lock = threading.Lock()

    def again(self, search: Hashable, kind: Kind) -> list[str] | None:
        """What a search has found before; None where something has changed, or not all of it is remembered."""
        edition = self.edition
        keys = self._found.get(search)
        if keys is None:
            return None
        found = self.find(edition, kind, keys)
        return found if self._is(edition) and None not in found else None

    def note(self, edition: int, search: Hashable, keys: list[int]) -> None:
        """Remember which rows a search has found, after `edition` was, unless there has been a change since."""
        with self._lock:
            if self._is(edition):
                if len(self._found) == MOST_SEARCHES:
                    self._found = {}
                self._found[search] = keys

    def find(self, edition: int, kind: Kind, keys: Sequence[int]) -> list[str | None]:
        """The texts of rows that were looked up after `edition` was; None for what is not remembered."""
        texts = self._texts.get(kind, {})
        found = [texts.get(key) for key in keys]
        return found if self._is(edition) else [None] * len(keys)

    def add(self, edition: int, kind: Kind, rows: Iterable[Row]) -> None:
        """Remember rows that were read after `edition` was, unless there has been a change since."""
        with self._lock:
            if not self._is(edition):
                return
            texts = self._texts.setdefault(kind, {})
            for study, key, text in rows:
                if key not in texts:
                    texts[key] = text
                    self._of_study.setdefault(study, []).append((kind, key))
                    self._size += EACH + len(text)
            if self._size > MOST:
                self._forget_all()

    def _is(self, edition: int) -> bool:
        return edition % 2 == 0 and edition == self.edition

    @contextmanager
    def changing(self, studies: set[int] | None = None) -> Iterator[None]:
        """Around what makes a change to these studies visible; None: to any."""
        self.edition += 1
        try:
            yield
        finally:
            with self._lock:
                self._found = {}
                if studies is None:
                    self._forget_all()
                else:
                    self._forget(studies)
                self.edition += 1

    def _forget_all(self) -> None:
        self._texts, self._of_study, self._size = {}, {}, 0

    def _forget(self, studies: set[int]) -> None:
        for study in studies:
            for kind, key in self._of_study.pop(study, ()):
                self._size -= EACH + len(self._texts[kind].pop(key))
                if not self._texts[kind]:
                    del self._texts[kind]
