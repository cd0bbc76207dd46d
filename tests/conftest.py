"""What every test shares: how many examples Hypothesis tries, and that Ctrl-C is heard."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no bug. A failure is repeated by the blob that Hypothesis prints.
settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("ci"), max_examples=5000)
settings.load_profile("ci")

# A shell starts background jobs with Ctrl-C ignored, and programs started by a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
