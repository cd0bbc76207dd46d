"""A node's settings as traits, so that any widget can be linked to them."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import traitlets  # noqa: TID253 -- imported by who asks for traits

from flowbook.errors import DefinitionError, UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from flowbook.core.flow_data import FlowData
    from flowbook.core.settings import SettingSpec


class SettableFlow(Protocol):
    """What traits need of a flow."""

    def data_around(self, node_id: str) -> FlowData:
        """Return the nodes among which a node stands, with their settings."""
        ...

    def setting_moved(self, node_id: str, name: str, value: Any) -> None:
        """Take a value as a person sets it."""
        ...

    def on_change(self, callback: Any) -> None:
        """Call back after every edit."""
        ...


def traits_of(flow: SettableFlow, node_id: str, known: MutableMapping[str, SettingLink]) -> traitlets.HasTraits:
    """Return the node's traits; a change of one is a person's change of the setting, and the other way round.

    Args:
        flow: whose node it is.
        node_id: the node.
        known: links made before, by node id: asking twice must reach the same traits.

    Raises:
        DefinitionError: FB103 (on assignment): the value is not of the setting's type or out of range; the trait keeps
            its old value.
    """
    link = known.get(node_id)
    if link is None:
        link = known[node_id] = SettingLink(flow, node_id)
    return link.traits


class NoTraitError(UnknownIdError, AttributeError):
    """A node has no setting of that name; also an AttributeError, which ``hasattr`` and ``getattr`` look for."""


class NodeSettings(traitlets.HasTraits):
    """The settings of one node; a name that is none of them is refused instead of becoming an attribute.

    Args:
        place: says which node it is, for errors.
    """

    def __init__(self, place: Callable[[], str]) -> None:
        self._place = place
        super().__init__()

    def __getattr__(self, name: str) -> Any:
        """Be asked for what is not there.

        Raises:
            NoTraitError: FB201.
        """
        raise self._no_trait(name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a setting.

        Raises:
            NoTraitError: FB201, there is none of that name.
        """
        if not name.startswith("_") and not hasattr(type(self), name):
            raise self._no_trait(name)
        super().__setattr__(name, value)

    def _no_trait(self, name: str) -> NoTraitError:
        known = [] if name.startswith("_") else self.trait_names()
        return NoTraitError(
            f"the node has no setting {name!r}",
            where=self._place(),
            hint=did_you_mean(name, known),
            setting=name,
        )

    def __repr__(self) -> str:
        """Show the settings: errors of ``traitlets.link`` show them too."""
        values = ", ".join(f"{name}={value!r}" for name, value in sorted(self.trait_values().items()))
        return f"<settings {values}>"


class SettingLink:
    """Keeps the traits and the settings of one node equal, also when its code gives it other settings.

    Args:
        flow: whose node it is.
        node_id: the node; follows a rename.
    """

    def __init__(self, flow: SettableFlow, node_id: str) -> None:
        self.node_id = node_id
        self.traits: traitlets.HasTraits = NodeSettings(self._place)
        self._flow = flow
        self._specs: dict[str, SettingSpec] = {}
        self._pulling = threading.local()  # another thread may push meanwhile
        self.pull()
        flow.on_change(self.pull)

    def _place(self) -> str:
        return f"{self._flow.data_around(self.node_id).where}, node {self.node_id!r}"

    def pull(self) -> None:
        """Give the traits the values of the settings."""
        data = self._flow.data_around(self.node_id)
        if self.node_id not in data.nodes:
            return
        self._pulling.is_on = True
        try:
            self._fit({spec.name: spec for spec in data.type_of(self.node_id).settings})
            values = data.node(self.node_id).settings
            for name, spec in self._specs.items():
                # What a document says need not fit the code; the run of that node says so, not this edit.
                with contextlib.suppress(traitlets.TraitError, ValueError, KeyError):
                    setattr(self.traits, name, spec.to_python(values.get(name, spec.default)))
        finally:
            self._pulling.is_on = False

    def _fit(self, specs: dict[str, SettingSpec]) -> None:
        """Take over settings that are new or declared differently; what is linked to the others stays linked."""
        for name, spec in specs.items():
            if self._specs.get(name) != spec:
                self.traits.add_traits(**{name: _trait(spec)})
                if name not in self._specs:
                    self.traits.observe(self._push, names=[name])
                self._specs[name] = spec

    def _push(self, change: Any) -> None:
        if getattr(self._pulling, "is_on", False):
            return
        try:
            self._flow.setting_moved(self.node_id, change["name"], change["new"])
        except DefinitionError:
            self.pull()
            raise


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
    if spec.container == "set":
        return traitlets.Set(allow_none=spec.is_optional, help=spec.help)
    if spec.value_type in plain:
        return plain[spec.value_type](**options)
    classes = {"date": dt.date, "datetime": dt.datetime, "time": dt.time, "path": Path}
    cls = spec.choices or classes.get(spec.value_type)
    return (
        traitlets.Instance(cls, allow_none=True, help=spec.help) if cls is not None else traitlets.Any(help=spec.help)
    )
