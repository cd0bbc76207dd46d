"""Without a browser: run a notebook whose cells are a flow, look at it, and say by an exit code how it went.

``flowbook run`` drives a real kernel through nbclient, so that a notebook does headless exactly what it does by hand.
What is added around the cells: parameters go in (`parameters`), the status of nodes comes out while they run (`report`,
read from the trace bundles that flows display anyway), cells after a failed one still run, background runs are waited
for, and the executed notebook is written whole or not at all, whatever happened (`execute`, `output_files`,
`interruption`). A ``.flow.json`` document runs the same way, as a notebook of one cell.

``check`` and ``graph`` read files (`sources`, `scan`, `static_flow`) and never run what is in them; ``doctor`` asks the
machine. `cli` is the door to the four.

Exit codes: 0 fine, 1 a node or a cell failed, 2 bad arguments or document, 3 the kernel died, 4 timed out,
130 interrupted.

What does not belong here: anything a kernel needs. This room is the other end of the wire; it knows bundles and files,
not flows at work. It may read documents (`flowbook.core`) and draw pictures (`flowbook.canvas`).
"""
