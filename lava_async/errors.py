"""The exceptions and warnings of this package.

Messages have one form, *where*: *what*: expected … (got …), and are put together here only; the
parts are attributes.
"""

from __future__ import annotations

from typing import TypeVar, overload

_Error = TypeVar("_Error", bound="LavaAsyncError")


class LavaAsyncError(Exception):
    """Base of every error that this package raises on purpose.

    Made from the four parts of the message, or from one text where it has no such parts, as
    with what became of another process.

    Attributes
    ----------
    where : object
        Place, e.g. ``layer 2 (conv)`` of a file, or an argument's function. None, as the
        others, where the message is one text.
    what : object
        What is wrong there.
    expected, got : object
        What would be right, and what is there instead.
    """

    where: object = None
    what: object = None
    expected: object = None
    got: object = None

    @overload
    def __init__(self, text: str, /) -> None: ...
    @overload
    def __init__(self, where: object, what: object, expected: object, got: object, /) -> None: ...
    def __init__(self, *parts: object) -> None:
        text = str(parts[0])
        if len(parts) == 4:
            self.where, self.what, self.expected, self.got = parts
            text = f"{self.where}: {self.what}: expected {self.expected} (got {self.got})"
            text = " ".join(text.splitlines())
        super().__init__(text)

    def __reduce__(self) -> tuple[object, ...]:
        # What was got may be anything; across processes its text will do.
        if self.what is None:
            return type(self), self.args
        parts = self.where, self.what, self.expected, self.got
        return type(self), tuple(p if isinstance(p, (str, int, float)) else str(p) for p in parts)

    def at(self, where: object, kind: type[_Error]) -> _Error:
        """The same complaint about another place: an argument of the caller, a file's layer."""
        return kind(where, self.what, self.expected, self.got)


class ValidationError(LavaAsyncError, ValueError):
    """An argument is outside what is allowed."""


class GraphError(ValidationError):
    """Populations and connections do not form a runnable network."""


class FileFormatError(ValidationError):
    """A file is missing, truncated, foreign, or holds values outside Loihi's ranges."""


class UnsupportedError(ValidationError):
    """Something valid elsewhere in the ecosystem that this package does not run."""


class ExecutionError(LavaAsyncError, RuntimeError):
    """A run failed after it had started."""


class ForwardStepLimitError(ExecutionError):
    """A time step did not come to rest within the allowed number of forward steps."""


class ProcessError(ExecutionError):
    """A Lava process model failed, was killed, or stopped answering."""


class TrainingWarning(UserWarning):
    """Training that goes wrong; names the block and the remedy."""
