"""flowbook: a dataflow environment inside Jupyter.

The front door: ``import flowbook as fb``. Everything a user types is here, nothing is decided here; the names are
loaded when they are first used, so that the import costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook.core.annotations import Setting, each
    from flowbook.core.checks import Finding
    from flowbook.core.node_types import NodeType
    from flowbook.core.packets import ErrorPacket, Packet
    from flowbook.core.policies import FlowPolicy, Retry
    from flowbook.errors import (
        CellError,
        DataError,
        DefinitionError,
        DocumentError,
        FlowbookError,
        FlowFailedError,
        HeadlessError,
        NodeFailedError,
        RunError,
        WiringError,
    )
    from flowbook.runtime.context import Context
    from flowbook.runtime.run import Run
    from flowbook.session import Flow, flow, node, watch_mutations

__version__ = "0.1.0"

__all__ = [
    "CellError",
    "Context",
    "DataError",
    "DefinitionError",
    "DocumentError",
    "ErrorPacket",
    "Finding",
    "Flow",
    "FlowFailedError",
    "FlowPolicy",
    "FlowbookError",
    "HeadlessError",
    "NodeFailedError",
    "NodeType",
    "Packet",
    "Retry",
    "Run",
    "RunError",
    "Setting",
    "WiringError",
    "each",
    "flow",
    "load_ipython_extension",
    "node",
    "watch_mutations",
]

_HOMES = {
    "Context": "flowbook.runtime.context",
    "ErrorPacket": "flowbook.core.packets",
    "Finding": "flowbook.core.checks",
    "Flow": "flowbook.session",
    "FlowPolicy": "flowbook.core.policies",
    "NodeType": "flowbook.core.node_types",
    "Packet": "flowbook.core.packets",
    "Retry": "flowbook.core.policies",
    "Run": "flowbook.runtime.run",
    "Setting": "flowbook.core.annotations",
    "each": "flowbook.core.annotations",
    "flow": "flowbook.session",
    "node": "flowbook.session",
    "watch_mutations": "flowbook.session",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module 'flowbook' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES.get(name, "flowbook.errors")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Say where the JupyterLab extension is, for ``jupyter-builder develop``."""
    return [{"src": "labextension", "dest": "flowbook"}]


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext flowbook``: bring the cell magics and outputs into a notebook."""
    import_module("flowbook.notebook.load").load(ipython)
