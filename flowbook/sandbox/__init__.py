"""ISOLATION: node code in processes of its own, where it can harm nobody.

::

    kernel                                           another process
    process_pool.py ──launchers.py──► fork_server.py ──fork──► worker.py
         │                                                        │
         └────────────────── channel.py: one socket ──────────────┘
         └── transports.py, segments.py: memory that both can see ┘   kernel_segments.py: how much of it there is
                       node_code.py: the function, made from source
                       remote_errors.py: an exception, told and raised again

The rules of the room:

* **A kernel never forks.** A small server process, started with the interpreter's own ``exec``, has loaded the table
  libraries and run nothing; workers are forked from it in a few milliseconds. Where there is no fork (or none that is
  safe) every worker is started afresh.
* **A worker ends with its kernel**, however that ends: its socket closes, and on Linux the system itself ends it.
* **Limits are real.** Who overruns time or memory is ended by the system, not asked. Nothing of it survives but what it
  had printed.
* **What is large is not sent.** Tables and arrays stand in shared memory that one process writes and the others only
  read; who looks at it is known at all times, so that it is used again, and the system frees it with its last holder.
  Where there is none of that kind the socket takes them: slower, and the same for everybody else.
* **Tables are somebody else's business.** How a value is taken apart is handed in: ``core.interfaces.Packing``.
* **Pickle passes over the inherited socket to this kernel's own workers, nowhere else.** Code travels as source.

What does not belong here: when a node is isolated (runtime), what is shown of it, what tables are.
"""
