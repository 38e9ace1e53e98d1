"""Approval: what goes without asking, and what never does."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import Effect, PlannedCall
from rostra.agents.guard import LoopDetector, Policy, approval_reasons, default_guard
from rostra.agents.tools.tool import ToolInfo, ToolResult


def info(effect: Effect, name: str = "t", outbound: bool = False) -> ToolInfo:
    return ToolInfo(name, "does", {"type": "object"}, effect, outbound=outbound)


EFFECTS = st.frozensets(st.sampled_from(Effect))
POLICIES = st.builds(
    Policy,
    auto_approve=EFFECTS,
    trusted_tools=st.sampled_from([frozenset[str](), frozenset({"t"})]),
    outbound_tools=st.sampled_from([frozenset[str](), frozenset({"t"})]),
)


@given(
    POLICIES,
    st.sampled_from(Effect),
    st.booleans(),
    st.lists(st.text(max_size=5), min_size=1, max_size=20),
)
def test_no_policy_lets_untrusted_text_act(
    policy: Policy, effect: Effect, outbound: bool, sources: list[str]
) -> None:
    reasons = approval_reasons(info(effect, outbound=outbound), sources, policy)
    if effect is not Effect.READ or outbound or "t" in policy.outbound_tools:
        assert any("untrusted" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("effect", "sources"), [*product(Effect, [(), ("document:x", "tool:y")])], ids=str
)
def test_the_default_policy_asks_for_everything_but_reading(
    effect: Effect, sources: tuple[str, ...]
) -> None:
    reasons = approval_reasons(info(effect), sources, Policy())
    assert bool(reasons) is (effect is not Effect.READ)
    assert len(reasons) <= 2


def test_trust_holds_only_for_what_the_user_said() -> None:
    policy = Policy(trusted_tools=frozenset({"t"}))
    assert approval_reasons(info(Effect.WRITE), [], policy) == []
    assert approval_reasons(info(Effect.WRITE), ["document:a"], policy)
    assert approval_reasons(info(Effect.WRITE, "u"), [], policy)


def test_what_reads_from_the_open_world_is_asked_about_once_influenced() -> None:
    search = info(Effect.READ, outbound=True)
    assert approval_reasons(search, [], Policy()) == []
    (reason,) = approval_reasons(search, ["document:a"], Policy())
    assert "sends its arguments out" in reason
    assert approval_reasons(info(Effect.READ), ["document:a"], Policy()) == []


def test_a_policy_that_trusts_nothing_asks_for_reading_too() -> None:
    assert approval_reasons(info(Effect.READ), [], Policy(auto_approve=frozenset()))


def call(name: str, **arguments: object) -> PlannedCall:
    return PlannedCall("id", name, arguments)


def test_the_same_call_with_the_same_result_is_refused_the_fourth_time() -> None:
    detect = LoopDetector(repeats=3)
    a = call("a", q=" x  y", n={"k": [1]})
    same = call("a", n={"k": [1]}, q="x y")
    past = [(a, "r")] * 2
    assert detect(past, same) is None
    assert "same result 3 times" in (detect([*past, (same, "r")], same) or "")


def test_a_call_whose_result_changes_is_waiting() -> None:
    past = [(call("status"), f"{percent} %") for percent in range(40)]
    assert LoopDetector()(past, call("status")) is None
    assert LoopDetector()([*past, *[(call("status"), "stuck")] * 3], call("status")) is not None


def test_the_same_calls_over_and_over_are_refused() -> None:
    a, b, c = call("a"), call("b", x=1), call("c")
    detect = LoopDetector(repeats=10)
    assert "2 calls over and over" in (detect([(a, "1"), (b, "2")] * 2, a) or "")
    assert "3 calls over and over" in (detect([(a, "1"), (b, "2"), (c, "3")] * 2, a) or "")
    # Another call, another result, or another order: it gets on.
    assert detect([(a, "1"), (b, "2")] * 2, c) is None
    assert detect([(a, "1"), (b, "2"), (a, "1"), (b, "3")], a) is None
    assert detect([(a, "1"), (b, "2"), (b, "2"), (a, "1")], a) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=60))
def test_distinct_calls_are_never_a_loop(past: list[tuple[str, str]]) -> None:
    made = [(call("t", at=at, x=name), result) for at, (name, result) in enumerate(past)]
    assert LoopDetector()(made, call("t", at=-1)) is None


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("12")), max_size=20),
)
def test_every_endless_cycle_is_ended(cycle: list[str], before: list[tuple[str, str]]) -> None:
    """A model that repeats a short cycle forever, with the same results, is refused at last."""
    past = [(call(name), result) for name, result in before]
    for turn in range(200):
        wanted = call(cycle[turn % len(cycle)])
        if LoopDetector()(past, wanted) is not None:
            return
        past.append((wanted, "same"))
    pytest.fail("never refused")


def test_the_default_guard_has_all_parts() -> None:
    guard = default_guard()
    assert guard.reasons(info(Effect.WRITE), ["document:x"])
    assert guard.loop([(call("a"), "r")] * 3, call("a"))
    assert guard.observe(ToolResult("x" * 100), 50)[1:3] == (True, 100)
    assert guard.clean("![x](https://evil.test)", ()) == (
        "x ⟨image from evil[.]test removed⟩",
        ("links: image from evil.test",),
        (),
    )
    assert default_guard(filters=[]).clean("https://evil.test", ())[:2] == ("https://evil.test", ())
