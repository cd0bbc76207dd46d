"""Which node types exist.

Node types come in from ``@fb.node`` functions and from folders, and are found again by the id that a document or
``flow.add("table.filter")`` names. A flow's own types (its ``@flow.node`` functions and ``%%node`` cells) live in the
flow, not here. Nothing here runs a node or reads a notebook.

A folder of node types holds ``<category>/<name>/schema.json`` with everything that can be said of a type without
running it, and ``logic.py`` beside it with its function. The JSON is read at the first look-up (``folders.py``,
``schema_file.py``), the Python when a node first fires (``folder_logic.py``), and then the two have to agree.
"""
