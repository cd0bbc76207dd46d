"""The composition root, and the only one: what ``fb.Flow`` names, bound to what runs, shows and saves it.

A ``Flow`` binds flow data (core) to results and runs (runtime), traces and events (observe) and payloads (data); the
``session`` holds what all flows of a process share. Whoever shows flows, as the notebook does, registers a
``Presenter``. What is done with a flow as a whole stands beside it: a run for each combination of some settings
(``parameter_sweep``, which has nothing to do with the engine's ``sweep``), a flow as a node (``subflows``), its dead
letters and its cache as a person looks at them (``flow_letters``, ``flow_cache``). Nothing in here knows of notebooks,
and nothing in here decides how something runs, looks or is stored.
"""

from __future__ import annotations

from flowbook.session.flow_handle import Flow, flow, node
from flowbook.session.node_handle import Node
from flowbook.session.presenter import Presenter
from flowbook.session.process import Session, drain, headless_defaults, session, watch_mutations

__all__ = [
    "Flow",
    "Node",
    "Presenter",
    "Session",
    "drain",
    "flow",
    "headless_defaults",
    "node",
    "session",
    "watch_mutations",
]
