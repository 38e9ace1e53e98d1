"""Judges that are made up, with known biases: what the measures of judges are tested on.

A simulated judge draws, for each pair and order, what it goes by: the position (with the chance
`abs(position)`), the length (`length`), the family of who wrote the answers (`own`), a coin
(`noise`), nothing that could be read (`nonsense`), and otherwise the label, which it then gets
right with the chance `accuracy`. Going by one of them is exclusive, so each measure has a value
that is known:

- position bias is `position`: the share of flips towards the answer shown first minus that towards
  the second;
- length bias is `length`: accuracy where the longer answer is right minus where the shorter is;
- self-preference is `own`, in the same way, for pairs with one answer of its family.

All three are shares of what it says at all, that is, divided by `1 - nonsense`.

What always holds: a verdict depends on the judge, the pair, the order and the seed alone, and on
each of them: what two judges draw, or one of them over two sets, has nothing in common. Where a cue
says nothing (answers of equal length, a family that wrote both or neither) the judge goes by the
label, as if it had not looked at the cue.
"""

import random
from dataclasses import asdict, dataclass
from typing import Any

from evals.judge.compare import Ballot
from evals.judge.pairs import TURNED, WINNERS, Pair, Winner
from evals.judge.seeds import derived_seed
from rostra.core import InvalidRequest

NONSENSE = "a simulated judge's nonsense"


@dataclass(frozen=True, slots=True)
class SimulatedJudge:
    """See this module.

    Attributes:
        position: -1 to 1; negative prefers the answer shown second.
        length: -1 to 1; negative prefers the shorter.
        own: 0 to 1; for answers by `family`.

    Raises:
        InvalidRequest: a chance is out of its range, or all but `accuracy` are more than 1.
    """

    name: str
    accuracy: float = 0.9
    position: float = 0.0
    length: float = 0.0
    own: float = 0.0
    family: str = ""
    noise: float = 0.0
    nonsense: float = 0.0

    def __post_init__(self) -> None:
        chances = (self.accuracy, self.own, self.noise, self.nonsense)
        cues = abs(self.position) + abs(self.length) + self.own + self.noise + self.nonsense
        if not all(0 <= chance <= 1 for chance in chances) or not cues <= 1 + 1e-9:
            raise InvalidRequest(
                f"the chances of simulated judge {self.name!r} are not shares of 1"
            )

    def config(self) -> dict[str, Any]:
        """See `PairJudge`."""
        return {"judge": "simulated", **asdict(self)}

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        """See `PairJudge.compare`."""
        order = "swapped" if swapped else "as it is"
        own = derived_seed(seed, self.name, order, pair.question, pair.first, pair.second)
        rng = random.Random(own)
        cue = rng.random()
        for chance, winner, why in self._cues(pair, swapped, rng):
            if cue < chance:
                if winner is None:
                    return Ballot(None, unscored=why)
                return Ballot(winner, reason=f"by {why}")
            cue -= chance
        return Ballot(self._by_label(pair, rng), reason="by what the label says")

    def _cues(
        self, pair: Pair, swapped: bool, rng: random.Random
    ) -> list[tuple[float, Winner | None, str]]:
        """What it may go by, each with its chance; the chances stay whatever the cues say."""
        shown: Winner = "second" if swapped else "first"
        longer, mine = pair.longer, pair.by(self.family) if self.family else None
        truth = self._by_label(pair, rng)
        coin: Winner = rng.choice(("first", "second"))
        return [
            (self.nonsense, None, NONSENSE),
            (abs(self.position), shown if self.position > 0 else TURNED[shown], "position"),
            (
                abs(self.length),
                truth if longer == "tie" else longer if self.length > 0 else TURNED[longer],
                "length",
            ),
            (self.own, truth if mine in (None, "tie") else mine, "who wrote it"),
            (self.noise, coin, "a coin"),
        ]

    def _by_label(self, pair: Pair, rng: random.Random) -> Winner:
        label = pair.label or "tie"
        if rng.random() < self.accuracy:
            return label
        return rng.choice([winner for winner in WINNERS if winner not in (label, "tie")])


def usual_judges(family: str = "") -> list[SimulatedJudge]:
    """Those that `rostra eval run judge` shows beside the real ones: one bias each.

    Args:
        family: of the systems in a set, for the judge that prefers its own; none without one.
    """
    judges = [
        SimulatedJudge("sim: right 95 %", accuracy=0.95),
        SimulatedJudge("sim: right 80 %", accuracy=0.8),
        SimulatedJudge("sim: first +0.3", position=0.3),
        SimulatedJudge("sim: longer +0.3", length=0.3),
        SimulatedJudge("sim: coin", noise=1.0),
        SimulatedJudge("sim: nonsense 30 %", nonsense=0.3),
    ]
    if family:
        judges.insert(4, SimulatedJudge(f"sim: own {family} +0.3", own=0.3, family=family))
    return judges
