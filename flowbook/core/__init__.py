"""What a flow is.

Node types with their ports and settings, flow data (nodes, explicit edges, cuts), the wiring that names imply, checks
that can be made before a run, the flow without its subflows (``expansion``), the type of a flow that is run for each
item (``mapped_types``), packets, events, policies and the document. Text and values come in (a function, a document,
an edit), immutable descriptions and findings go out; nothing here runs a node.

Only the standard library is used: no threads, no files, no clocks, no tables. What a payload is, who runs a node and
who draws it is for the rooms above; what they need from each other is declared in ``core.interfaces``.
"""
