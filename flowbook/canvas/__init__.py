"""What a flow looks like: the kernel side of the canvas.

JSON bundles come in (``protocol``: a snapshot of a flow, the trace of a run, one node), drawings go out: the static
SVG, HTML and text that stand beside the bundles in a notebook's outputs, so that a flow can be seen without a kernel.
``layout`` gives nodes their places, ``cards`` their sizes, ``placement`` does both for a snapshot; ``drawing`` and
``trace_drawing`` draw SVG, ``pages`` writes HTML, ``plain_text`` and ``mermaid`` write text; ``layers`` and ``pieces``
hold the steps of the layout and what drawings are made of.

Everything drawn is a pure function of its bundle: the same bundle gives the same bytes. Text from data reaches markup
through ``pieces.markup`` alone, which escapes it; a static drawing has no script, makes no request, never says *live*.

What does not belong here: how a flow runs, what a value is (previews arrive as JSON), cells, and the browser code,
which draws the same bundles live.
"""
