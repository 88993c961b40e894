"""The exceptions of this package.

Messages follow one form: *where*: *what*: expected … (got …).
"""


class LavaAsyncError(Exception):
    """Base of every error that this package raises on purpose."""


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


def expected(where: str, what: str, expected: object, got: object) -> str:
    """The one form of our messages, e.g. ``layer 2 (conv): stride: expected … (got …)``."""
    return f"{where}: {what}: expected {expected} (got {got})"
