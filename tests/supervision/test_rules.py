from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.supervision.lively_timeout import lively_timeout
from voicebot.supervision.patience import Patience
from voicebot.supervision.restart_policy import RestartPolicy, RestartRules

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def test_patience_is_long_until_the_stages_pace_is_known() -> None:
    patience = Patience(shortest_s=1.5, longest_s=15.0)
    for _ in range(4):
        patience.note(0.01)
    assert patience.limit_s == 15.0
    patience.note(0.01)
    assert patience.limit_s == 1.5


def test_a_slow_stage_is_given_five_times_its_slowest_step() -> None:
    patience = Patience(shortest_s=1.5, longest_s=15.0)
    for took_s in (0.2, 0.9, 0.3, 0.2, 0.1):
        patience.note(took_s)
    assert patience.limit_s == pytest.approx(4.5)
    patience.note(30.0)
    assert patience.limit_s == 15.0
    patience.forget()
    assert patience.limit_s == 15.0
    for _ in range(60):
        patience.note(0.1)
    assert patience.limit_s == 1.5


def test_what_is_wanted_shorter_than_the_longest_never_exceeds_it() -> None:
    assert Patience(shortest_s=5.0, longest_s=2.0).limit_s == 2.0


def test_a_stuck_engine_is_replaced_at_once_a_failing_one_after_a_second_failure() -> None:
    policy = RestartPolicy(RestartRules(failures_in_a_row=2))
    assert policy.failed(is_stuck=True)
    policy.begin(0.0)
    assert not policy.failed(is_stuck=False)
    policy.succeeded()
    assert not policy.failed(is_stuck=False)
    assert policy.failed(is_stuck=False)


def test_the_first_replacement_is_at_once_and_the_next_ever_later() -> None:
    policy = RestartPolicy(RestartRules())
    assert [policy.begin(float(at_s)) for at_s in range(5)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert policy.begin(1000.0) == 0.0, "after a calm time it is the first again"


def test_too_many_replacements_within_an_hour_are_refused() -> None:
    policy = RestartPolicy(RestartRules(restarts_per_hour=2, hung_threads_max=1))
    policy.begin(0.0)
    assert policy.why_not(10.0, 1) == ""
    policy.begin(1800.0)
    assert "2 times" in policy.why_not(1801.0, 1)
    assert policy.why_not(3601.0, 1) == ""
    assert "2 of its threads hang" in policy.why_not(3601.0, 2)


def test_a_limit_ends_the_waiting(virtual_time: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with lively_timeout(2.0) as limit:
                await asyncio.sleep(1e9)
        assert limit.expired()
        assert loop.time() == pytest.approx(2.0)
        async with lively_timeout(2.0):
            await asyncio.sleep(1.9)
        await asyncio.sleep(10.0)  # nothing is left that would fire

    virtual_time(main())


def test_a_loop_that_stood_still_blames_nobody() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        loop.call_later(0.2, answer.set_result, "here")
        async with lively_timeout(0.25):
            loop.call_later(0.01, time.sleep, 0.4)  # stands still beyond the limit
            return await answer

    assert asyncio.run(main()) == "here"
