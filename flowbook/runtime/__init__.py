"""How a flow runs.

A checked flow is compiled to a plan of integer slots (``plan``). An execution (``execution``) walks it: the scheduler
says which slot may go next and runs nothing (``scheduler``), the key of a slot says whether its value is still good
(``keys``, ``code_keys``), a firing calls the function with its inputs (``firing``), and executors give it a thread, the
engine's loop or the main thread (``executors``). What came out is kept per node (``results``); a ``Run`` is what the
user holds (``run``); the engine lets one run per flow go at a time (``engine``).

Plain nodes, functions that take and give values nobody can change and ask for nothing else, are swept: fired one after
the other on one worker, by versions in columns (``columns``, ``sweep``); their keys, results, events and spans are made
when somebody asks. Everything else, and whatever comes out of a sweep because it takes long, prints or fails, goes the
way above.

Nodes that give lazy tables only build plans when they fire; they are parked until all of their region were built, and
what somebody needs of it is collected in one pass (``fusion``, ``fused_pass``).

However a node is fired, its code is called in one place, with what it prints captured (``calling``). A node that
takes the items of a list is called for each of them within its one firing (``item_runs``); where the node is a flow,
each item is a run of that flow (``flow_calls``), and the flow counts as code (``flow_code``). Of any other flow that
is a node of another one the plan holds the nodes only; what they come to together is summed up when it is asked for
(``subflow_states``). What a node opens is kept from firing to firing (``resources``), what the nodes of a run share
ends with it (``run_state``), and a failure that nobody takes is handed to whoever keeps dead letters (``letters``).
What a run that is the last one needs no more is let go at once (``releasing``).

Decisions are transitions of a small state under one lock, made by whichever thread has news; no thread that decides
runs a node, so a node that never returns stops nobody else. Tables, arrays, notebooks and traces are handed in through
``core.interfaces``: nothing here imports polars, numpy or Jupyter, and nothing here draws or stores.
"""
