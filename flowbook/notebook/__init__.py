"""CELLS: how the text of a notebook cell becomes part of a flow, and how a flow shows itself in cell outputs.

A magic line is read (``registry.magic_line``), the body below it is judged by its names (``name_flow``,
``cell_analysis``) and compiled into a function that has the cell's own line numbers (``cell_function``); an error
raised in it is shown with the cell's lines alone (``tracebacks``). The magics put a node made of such a function into
a flow, capture what a firing prints and displays, and keep the outputs of cells up to date as mime bundles.

What does not belong here: what a flow is and how it runs (``core``, ``runtime``), how cards and canvases are drawn
(``canvas``), the command line (``headless``). Nothing below this room knows that cells exist. IPython is handed in or
imported inside a function, so that importing this room does not load it.
"""
