"""Which node types exist.

Node types come in from ``@fb.node`` functions and are found again by the id that a document or ``flow.add("…")`` names.
A flow's own types (its ``@flow.node`` functions and ``%%node`` cells) live in the flow, not here. Nothing here runs a
node or reads a notebook.
"""
