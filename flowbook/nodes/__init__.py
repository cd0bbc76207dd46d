"""THE STANDARD LIBRARY: node types that come with flowbook, one folder each.

``<category>/<name>/schema.json`` says what the palette, the documents and the canvas need to know: id, version, ports,
settings, icon, and examples, which the tests run. ``logic.py`` beside it holds one annotated function whose parameters
are the inputs and settings by name; it is loaded when a node of the type first fires, so it may import polars at its
head. Both say what the ports are, because the JSON must do without Python; the first firing and the tests compare them.

A default stands in ``schema.json`` alone. A setting without one has to be set before the node can fire. What goes wrong
is raised as an error of ``flowbook.errors``, with a hint that says what to write instead: people who draw a flow do not
read tracebacks.

What does not belong here: anything a node type of somebody else could not do as well. Folders of the same shape are
taken from wherever ``FLOWBOOK_NODES`` points to.
"""
