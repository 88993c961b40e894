"""What the process models of populations and connections share: which way a time step runs."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

from lava.magma.core.model.py.model import PyLoihiProcessModel

from lava_async.proc._shared import Member
from lava_async.proc._vars import Range


class AbstractPyMemberModel(PyLoihiProcessModel):
    """Exchanges messages in every forward step, or leaves these to the scheduler's process."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._where: str = proc_params["where"]
        self._member: Member | None = proc_params["member"]

    @abc.abstractmethod
    def _run_by_messages(self) -> None:
        """Run one time step."""

    @abc.abstractmethod
    def _run_outside(self, member: Member) -> None:
        """Pass on what comes from outside and what goes there, all else is in the scheduler."""

    @abc.abstractmethod
    def _take_over_vars(self) -> None:
        """Check and use what set() or a RefPort wrote; by messages only."""

    @abc.abstractmethod
    def _ranges(self) -> Mapping[str, Range]:
        """What may be written."""

    def start(self) -> None:
        if self._member is not None:
            self._member.take_over(self)
        super().start()

    def run_spk(self) -> None:
        """Run one time step."""
        if self._member is None:
            self._run_by_messages()
        else:
            self._member.update(self, self._where, self._ranges())
            self._run_outside(self._member)

    def on_var_update(self) -> None:
        if self._member is None:
            self._take_over_vars()

    def _set_var(self) -> None:
        # `on_var_update` would be too late: Lava calls it when the next run may have begun.
        if self._member is not None:
            self._member.written[0] = True
        super()._set_var()
