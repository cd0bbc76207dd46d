"""Which node types exist.

Node types come in from ``@fb.node`` functions and are found again by the id that a document or ``flow.add("…")`` names.
A flow's own types (its ``@flow.node`` functions and ``%%node`` cells) live in the flow; what the line of such a cell
declares is read here (``magic_line``), for the kernel and for whoever judges a file without one. Nothing here runs a
node or opens a notebook.
"""
