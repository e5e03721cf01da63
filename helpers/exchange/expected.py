"""expect: for cells in which the error is the point."""

from types import TracebackType

from helpers.errors import HelperError
from helpers.exchange.masks import stable


class NothingRaised(HelperError, AssertionError):
    """A cell that should have failed went through."""


class expect:
    """`with expect(SomeError) as caught:` for a cell in which the error is the point; fails if nothing is raised.

    Afterwards `caught.value` is the error, and `caught.message` its text without what differs from run to run.

    >>> with expect(requests.HTTPError) as caught:
    ...     example_refusal.raise_for_status()
    >>> print(caught.message)
    406 Client Error: Not Acceptable for url: /v2/studies/…187420
    """

    def __init__(self, *errors: type[BaseException]) -> None:
        self.errors = errors
        self.value: BaseException | None = None

    @property
    def message(self) -> str:
        return stable(str(self.value))

    def __enter__(self) -> "expect":
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            names = " or ".join(error.__name__ for error in self.errors)
            raise NothingRaised(
                f"these lines should have failed with {names}, but nothing was raised. "
                "Look at the exchange above: has the server said yes to what it should refuse?"
            )
        self.value = error
        return isinstance(error, self.errors)
