"""What every test shares: which examples Hypothesis tries, and that Ctrl-C is heard."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no bug.
_shared = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time: what is green stays green until somebody changes it.
settings.register_profile("ci", _shared, derandomize=True, database=None)
# Others every time, and many more: so comes to light what nobody thought of. The printed blob repeats a failure, and an
# ``@example`` keeps it from coming back.
settings.register_profile("soak", _shared, max_examples=5000)
settings.load_profile("ci")

# A shell starts background jobs with Ctrl-C ignored, and programs started by a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
