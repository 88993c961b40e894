"""What events cost on some hardware, and who says so."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from lava_async.errors import ValidationError
from lava_async.metrics._checks import is_finite


@dataclass(frozen=True)
class PerEvent:
    """What one event of each kind costs; None where the source says nothing of it.

    Attributes
    ----------
    synaptic_operation : float or None
        One spike delivered over one synapse.
    active_update, inactive_update : float or None
        Update of a neuron in a time step in which it fires, or does not.
    spike : float or None
        One spike that a neuron sends, once for all its targets, also where an early decision
        then discards it; input spikes are not counted.
    forward_step : float or None
        One round of release and delivery.
    time_step : float or None
        The barrier at the end of a time step.

    Raises
    ------
    ValidationError
        A value is neither None nor a finite number >= 0.
    """

    synaptic_operation: float | None = None
    active_update: float | None = None
    inactive_update: float | None = None
    spike: float | None = None
    forward_step: float | None = None
    time_step: float | None = None

    def __post_init__(self) -> None:
        for event, value in vars(self).items():
            if value is None:
                continue
            if not is_finite(value) or value < 0:
                wanted = "None or a finite number >= 0"
                raise ValidationError("cost of an event", event, wanted, repr(value))
            object.__setattr__(self, event, float(value))

    def known(self) -> dict[str, float]:
        """The events that have a cost, in the order of the fields."""
        return {event: value for event, value in vars(self).items() if value is not None}


EVENTS = tuple(field.name for field in dataclasses.fields(PerEvent))


@dataclass(frozen=True)
class CostModel:
    """Constants of one piece of hardware; `dataclasses.replace` changes some.

    Attributes
    ----------
    name : str
    source : str
        Where the constants are from: a publication and its table, or your own measurement.
    energy_pj : PerEvent
        In picojoules.
    time_ns : PerEvent
        In nanoseconds.

    Raises
    ------
    ValidationError
        Name or source are empty, or there is no constant at all.
    """

    name: str
    source: str
    energy_pj: PerEvent = PerEvent()
    time_ns: PerEvent = PerEvent()

    def __post_init__(self) -> None:
        for what in ("name", "source"):
            value = getattr(self, what)
            if not isinstance(value, str) or not value.strip():
                raise ValidationError("cost model", what, "a text that is not empty", repr(value))
        for what in ("energy_pj", "time_ns"):
            if not isinstance(getattr(self, what), PerEvent):
                got = type(getattr(self, what)).__name__
                raise ValidationError(f"cost model {self.name}", what, "a PerEvent", got)
        if not self.energy_pj.known() and not self.time_ns.known():
            wanted = "at least one, of energy or time"
            raise ValidationError(f"cost model {self.name}", "constants", wanted, "none")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a file holds it, from which `from_dict` makes the model again."""
        return {
            "name": self.name,
            "source": self.source,
            "energy_pj": self.energy_pj.known(),
            "time_ns": self.time_ns.known(),
        }

    @classmethod
    def from_dict(cls, description: Any, where: object = "cost model") -> CostModel:
        """The model that plain data describes; without ``energy_pj`` or ``time_ns`` it has none.

        Raises
        ------
        ValidationError
            Fields are missing, unknown, or not what they should be.
        """
        fields = ("name", "source", "energy_pj", "time_ns")
        _check_keys(where, "fields", description, fields)
        missing = [name for name in fields[:2] if name not in description]
        if missing:
            raise ValidationError(where, missing[0], "a text that is not empty", "nothing")
        costs = []
        for name in fields[2:]:
            constants = description.get(name, {})
            _check_keys(where, name, constants, EVENTS)
            try:
                costs.append(PerEvent(**constants))
            except ValidationError as error:
                raise ValidationError(
                    where, f"{name}: {error.what}", error.expected, error.got
                ) from None
        try:
            return cls(description["name"], description["source"], *costs)
        except ValidationError as error:
            raise error.at(where, ValidationError) from None


def _check_keys(where: object, what: str, given: Any, known: tuple[str, ...]) -> None:
    wanted = f"an object with some of {', '.join(known)}"
    if not isinstance(given, dict):
        raise ValidationError(where, what, wanted, type(given).__name__)
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ValidationError(where, what, wanted, repr(unknown[0]))
