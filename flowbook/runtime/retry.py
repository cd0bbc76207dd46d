"""How long to wait before the next attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from flowbook.core.policies import Retry


def delay_before(attempt: int, retry: Retry, random: Random) -> float:
    """Pick the wait before an attempt: exponential, capped, with "full jitter" when the policy asks for it.

    Args:
        attempt: the attempt to come, >= 2.
        retry: the policy.
        random: source of chance; seed it to replay a run.

    Returns:
        Seconds: ``min(cap_s, delay_s * multiplier**(attempt - 2))``, or uniform between 0 and that with jitter.

    Raises:
        ValueError: ``attempt`` < 2; the first one does not wait.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    if attempt < 2:
        message = f"attempt {attempt} does not wait"
        raise ValueError(message)
    try:
        ceiling_s = min(retry.cap_s, retry.delay_s * retry.multiplier ** (attempt - 2))
    except OverflowError:
        ceiling_s = retry.cap_s if retry.delay_s else 0.0
    return random.uniform(0.0, ceiling_s) if retry.jitter else ceiling_s
