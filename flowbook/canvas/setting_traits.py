"""A node's settings as traits, so that any widget can be linked to them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import traitlets  # noqa: TID253 -- imported by who asks for traits

from flowbook.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from flowbook.core.flow_data import FlowData
    from flowbook.core.settings import SettingSpec


class SettableFlow(Protocol):
    """What traits need of a flow."""

    @property
    def data(self) -> FlowData:
        """Nodes and settings."""
        ...

    def setting_moved(self, node_id: str, name: str, value: Any) -> None:
        """Take a value as a person sets it."""
        ...

    def on_change(self, callback: Any) -> None:
        """Call back after every edit."""
        ...


def traits_of(flow: SettableFlow, node_id: str, known: MutableMapping[str, Any]) -> traitlets.HasTraits:
    """Return the node's traits; a change of one is a person's change of the setting, and the other way round.

    Args:
        flow: whose node it is.
        node_id: the node.
        known: traits made before, by node id: linking twice must reach the same ones.

    Raises:
        DefinitionError: FB103 (on assignment): the value is not of the setting's type or out of range; the trait keeps
            its old value.
    """
    specs = {spec.name: spec for spec in flow.data.type_of(node_id).settings}
    found = known.get(node_id)
    if found is None or set(found.trait_names()) != set(specs):
        found = known[node_id] = _make(flow, node_id, specs)
    return cast("traitlets.HasTraits", found)


def _make(flow: SettableFlow, node_id: str, specs: dict[str, SettingSpec]) -> traitlets.HasTraits:
    cls = type("NodeSettings", (traitlets.HasTraits,), {name: _trait(spec) for name, spec in specs.items()})
    values = flow.data.node(node_id).settings
    traits = cls(**{name: spec.to_python(values.get(name, spec.default)) for name, spec in specs.items()})
    is_pulling: list[bool] = []

    def push(change: Any) -> None:
        if is_pulling:
            return
        try:
            flow.setting_moved(node_id, change["name"], change["new"])
        except DefinitionError:
            pull()
            raise

    def pull() -> None:
        if node_id not in flow.data.nodes:
            return
        current = flow.data.nodes[node_id].settings
        is_pulling.append(True)
        try:
            for name, spec in specs.items():
                setattr(traits, name, spec.to_python(current.get(name, spec.default)))
        finally:
            is_pulling.pop()

    traits.observe(push, names=list(specs))
    flow.on_change(pull)
    return cast("traitlets.HasTraits", traits)


def _trait(spec: SettingSpec) -> Any:
    options = {"allow_none": spec.is_optional, "help": spec.help}
    if spec.options and spec.choices is None:
        return traitlets.Enum(list(spec.options), default_value=spec.default, help=spec.help)
    plain: dict[str, Any] = {
        "int": traitlets.Int,
        "float": traitlets.Float,
        "bool": traitlets.Bool,
        "str": traitlets.Unicode,
        "list": traitlets.List,
        "dict": traitlets.Dict,
    }
    if spec.value_type in ("int", "float"):
        return plain[spec.value_type](min=spec.min, max=spec.max, **options)
    if spec.value_type in plain:
        return plain[spec.value_type](**options)
    classes = {"date": dt.date, "datetime": dt.datetime, "time": dt.time, "path": Path}
    cls = spec.choices or classes.get(spec.value_type)
    return (
        traitlets.Instance(cls, allow_none=True, help=spec.help) if cls is not None else traitlets.Any(help=spec.help)
    )
