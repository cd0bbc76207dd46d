"""The wait before an attempt grows, is capped, and with jitter is picked below that."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.policies import Retry
from flowbook.runtime.retry import delay_before

retries = st.builds(
    Retry,
    max_attempts=st.integers(1, 50),
    delay_s=st.floats(0, 100),
    multiplier=st.floats(1, 10),
    cap_s=st.floats(0, 1000),
    jitter=st.booleans(),
)


@given(retries, st.integers(2, 400), st.integers())
def test_waits_grow_up_to_the_cap_and_chance_repeats_with_its_seed(retry: Retry, attempt: int, seed: int) -> None:
    delay_s = delay_before(attempt, retry, Random(seed))  # noqa: S311 -- no secret
    assert 0 <= delay_s <= retry.cap_s
    assert delay_before(attempt, retry, Random(seed)) == delay_s  # noqa: S311
    if not retry.jitter:
        assert delay_s <= delay_before(attempt + 1, retry, Random(seed))  # noqa: S311
        assert delay_before(2, retry, Random(seed)) == min(retry.delay_s, retry.cap_s)  # noqa: S311


def test_the_first_attempt_does_not_wait() -> None:
    with pytest.raises(ValueError, match="attempt 1 does not wait"):
        delay_before(1, Retry(), Random())  # noqa: S311
