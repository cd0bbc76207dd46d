"""What a run did.

Events come in from the runtime, in order and as frozen records; the bus hands them on without ever waiting for a reader
(``event_bus``), and a trace turns those of one run into spans, one per node, with reasons, rows, copies and what the
node printed (``traces``). Nothing here starts, stops or changes a run, and nothing draws: pictures are made from a
trace's JSON by the rooms above.
"""
