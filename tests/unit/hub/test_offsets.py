"""Which offset may be committed."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hub.stage.offsets import OffsetSlot, PartitionOffsets, Place


class Offsets(RuleBasedStateMachine):
    """Whatever order records finish in, the position is the first unfinished one, and never goes back."""

    slots = Bundle("slots")

    def __init__(self) -> None:
        super().__init__()
        self.offsets = PartitionOffsets()
        self.taken: list[OffsetSlot] = []
        self.next = 7
        self.position = 7

    @rule(target=slots, gap=st.integers(0, 3))
    def take(self, gap: int) -> OffsetSlot:
        self.next += gap
        slot = self.offsets.take(self.next)
        self.next += 1
        self.taken.append(slot)
        return slot

    @rule(slot=consumes(slots))
    def finish(self, slot: OffsetSlot) -> None:
        slot.done = True

    @rule(acknowledged=st.booleans())
    def commit(self, acknowledged: bool) -> None:
        position = self.offsets.committable()
        if position is None:
            return
        assert all(slot.done for slot in self.taken if slot.offset < position)
        assert position >= self.position
        if acknowledged:
            self.offsets.mark_committed(position)
            self.position = position

    @invariant()
    def everything_below_the_first_unfinished_one_can_be_committed(self) -> None:
        unfinished = [slot.offset for slot in self.taken if not slot.done]
        if not self.taken:
            assert self.offsets.committable() is None
        elif unfinished:
            assert self.offsets.held_at == min(unfinished)
        else:
            assert self.offsets.committable() in {self.next, None}
            assert self.offsets.held_at == self.next


TestOffsets = Offsets.TestCase


@given(st.permutations(range(8)))
def test_all_done_in_any_order_commits_all(order: list[int]) -> None:
    offsets = PartitionOffsets()
    slots = [offsets.take(number) for number in range(8)]
    for number in order:
        slots[number].done = True
    assert offsets.committable() == 8
    offsets.mark_committed(8)
    assert offsets.committable() is None


def test_a_finished_record_behind_an_unfinished_one_is_kept_back() -> None:
    offsets = PartitionOffsets()
    first, second = offsets.take(3), offsets.take(4)
    second.done = True
    assert offsets.committable() is None
    first.done = True
    assert offsets.committable() == 5


def test_a_refused_commit_is_offered_again() -> None:
    offsets = PartitionOffsets()
    offsets.take(0).done = True
    assert offsets.committable() == 1
    assert offsets.committable() == 1


def test_an_offset_is_judged_by_those_before_it() -> None:
    offsets = PartitionOffsets()
    assert offsets.judge(5) is Place.NEXT
    offsets.take(5)
    assert [offsets.judge(number) for number in (4, 5, 6, 7)] == [Place.BACK, Place.BACK, Place.NEXT, Place.BEYOND]
    assert offsets.first == 5


def test_an_expected_start_is_judged_too() -> None:
    offsets = PartitionOffsets(expected=5)
    assert [offsets.judge(number) for number in (4, 5, 6)] == [Place.BACK, Place.NEXT, Place.BEYOND]
    assert offsets.first is None
    assert offsets.committable() is None
