"""Values that never change, of which there are several for each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

ClassT = TypeVar("ClassT")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[ClassT]) -> type[ClassT]:
    """Make a dataclass with slots and keywords alone, which type checkers take for a frozen one.

    ``frozen=True`` itself makes every instance take three times as long to build (it goes by ``object.__setattr__``).
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
