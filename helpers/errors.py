"""What goes wrong in a lesson, told so that a learner knows what to do next."""


class HelperError(Exception):
    """The parent of every error that the helpers raise.

    Jupyter prints the message alone: IPython asks an exception for `_render_traceback_` before it draws a traceback,
    and thirty lines of somebody else's code would hide the one line that helps.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
