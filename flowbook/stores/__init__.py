"""STATE THAT LASTS: what is found again after the kernel has gone, however it went.

Two stores, each a class of its own behind a Protocol of ``core.interfaces``, and what stands in for one of them where
nothing is to be written to disk::

    disk_cache.py     outputs of firings in files, one per key; entry_file.py says what such a file looks like
    dead_letters.py   failed firings with their inputs, in sqlite
    memory_letters.py the newest failed firing of each node, until the kernel ends

``folders.py`` says where on this machine.

The rules of the room:

* **Half an entry is no entry.** A file is written under another name, flushed to the disk and renamed; lengths and
  checksums are asked before anything of it is used. A kernel may be killed at any moment.
* **Several kernels share one store** and need no server for it: files are renamed into place, sqlite locks.
* **Nothing read from a file is executed.** Values pass through codecs that are handed in; none of them is pickle.
* **A value that has no such form is refused with a reason**, never an error: a cache that cannot keep something is a
  slower run.

What does not belong here: what a key is made of (runtime), what tables and arrays are (data), when something is kept.
"""
