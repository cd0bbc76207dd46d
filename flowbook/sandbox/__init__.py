"""ISOLATION: node code in processes of its own, where it can harm nobody.

::

    kernel                                           another process
    process_pool.py ──launchers.py──► fork_server.py ──fork──► worker.py
         │                                                        │
         └────────────────── channel.py: one socket ──────────────┘
                       node_code.py: the function, made from source
                       remote_errors.py: an exception, told and raised again

The rules of the room:

* **A kernel never forks.** A small server process, started with the interpreter's own ``exec``, has loaded the table
  libraries and run nothing; workers are forked from it in a few milliseconds. Where there is no fork (or none that is
  safe) every worker is started afresh.
* **A worker ends with its kernel**, however that ends: its socket closes, and on Linux the system itself ends it.
* **Limits are real.** Who overruns time or memory is ended by the system, not asked. Nothing of it survives but what it
  had printed.
* **Pickle passes over the inherited socket to this kernel's own workers, nowhere else.** Code travels as source.

What does not belong here: when a node is isolated (runtime), what is shown of it, what tables are.
"""
