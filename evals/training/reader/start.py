"""What the reader begins with: a few heads set by hand that match words and pass numbers on.

From scratch a net of this size needs hours to find out that the sentence with the question's words
is the one to name. That much can be written down, as heads:

1. *asks* (layer 0): a token looks at the last mark of a passage, or else at that of the question,
   and so knows whether it belongs to the question;
2. *own* (layer 0): a token looks at the last number before it, and keeps it;
3. *mode* (layer 0): a token looks at how the question begins, and knows whether steps are taken;
4. *equal* (layer 1, two heads): a token looks at the question's tokens that mean the same, the
   rarer the sooner; without any it looks at itself or at the beginning;
5. *last* (layer 1, two heads): a token looks at the two before it, and keeps their names;
6. *gather* (layer 2): the end of a sentence looks at the tokens with its own number and takes the
   mean of what they matched;
7. *copy* (layer 2, two heads): a token that is said looks for where the question has it, after the
   same word as here, and its state moves to the word that follows there: so the query is written;
8. *answer* (the guided layer): a token looks at the ends of sentences that matched, or at the
   beginning where none did, and knows whether any did;
9. *name* (there, too): a token after which a number is to come looks likewise, and its state moves
   to the sentence's number.

Everything else begins at chance with no effect, and all of it learns.

What always holds: the same embedding, vocabulary and seed give the same weights.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from evals.training.reader.net import Attention, Reader, Shape, turn_lengths
from evals.training.reader.words import Words

# Beside each word, the directions that are kept for the net's own signs.
_SIGNS = 14
# How long some are, beside a word's length of 1.
_ALWAYS, _MARK, _END, _SAYS, _NAMED = 0.5, 0.8, 1.0, 0.5, 0.7
_LENGTH = math.sqrt(1 + _ALWAYS**2 + _SAYS**2 + _NAMED**2)
_NUMBER = 0.6  # a mark's share of its number
_ENDS = 1.5  # the end of a query is said sooner than another's that is named alike
_SPOKEN, _COUNTS = 0.9, 0.4  # of what a number in an answer has of it, and of the sign of all
_STILL = 16_384  # tokens over which a direction must not turn to compare at any distance
_COMMONEST = 8  # main directions of all words, which say how common they are, not what they mean
# Scores before the softmax.
_PASSAGE, _QUESTION, _MODE, _SAID_ASKED = 14.0, 9.0, 30.0, 15.0
_EQUAL, _TWICE, _ASKED, _NOWHERE = 24.0, 10.0, 7.0, 13.0
_SAME_NUMBER = 12.0
_BELOW, _MATCHED, _NONE = 300.0, 45.0, 3.0
_ROOM, _NAMES = 48, 40  # directions that tell numbers apart, and names of words
# (tokens of a turn, score): together they fall with the distance, by four or more between any two
# numbers of which the last is up to 150 tokens back.
_RECENT = (
    *((54, 3.0), (84, 6.0), (129, 14.0), (306, 39.0), (471, 42.0)),
    *((726, 36.0), (1117, 28.0), (1721, 42.0), (2650, 32.0), (4080, 5.0)),
)
_QUICK, _BEFORE = 8, 10.0  # pairs of directions that turn soonest, and the score of each
# How far a state is moved.
_FLAG, _HOW, _KEPT, _FOUND, _SUMMED, _SAID, _COPIED = 0.6, 0.4, 1.4, 1.0, 8.0, 14.0, 6.0
_ANSWERS, _DOUBTS = 3.0, 0.42  # of "this answers": of what matched, and below what none does
_SOFT = 0.8  # of the last norm: no token is certain at first
# How long states are. What layers add in the first steps is as long whatever they add to; beside
# states of length 1 it would drown the words.
_LOUD = 10.0


@torch.no_grad()
def begin_by_hand(net: Reader, words: Words, seed: int = 0) -> None:
    """Sets embedding and heads; see this module. The embedding has been given by then."""
    random = torch.Generator().manual_seed(seed)
    for weight in _outputs(net):
        weight.zero_()
    rooms = _Rooms(net.shape, random)
    _set_words(net.embed_tokens.weight, rooms, words, random)
    hands = _Hands(net, rooms, random)
    hands.asks()
    hands.mode()
    hands.own()
    hands.equal()
    hands.last()
    hands.gather()
    hands.copy()
    hands.answer()
    for weight in [net.embed_tokens.weight, *_outputs(net)]:
        weight.mul_(_LOUD)
    net.embed_tokens.weight[words.answers] /= _LOUD
    net.norm.weight.fill_(_SOFT / _LOUD)


def _outputs(net: Reader) -> list[Tensor]:
    """What a layer adds to the states goes through these."""
    names = ("o_proj.weight", "down_proj.weight")
    return [weight for name, weight in net.named_parameters() if name.endswith(names)]


class _Rooms:
    """Directions of the states that have nothing to do with each other, each [n, hidden].

    `word` has what a word means, `name` what tells it from all others, `last` and `before` the
    names of the two tokens before it, nearest first; `number` lies within `word`: what is kept of
    a sentence's number.
    """

    def __init__(self, shape: Shape, random: torch.Generator) -> None:
        every = torch.linalg.qr(torch.randn(shape.hidden, shape.hidden, generator=random)).Q.T
        signs = every[:_SIGNS]
        self.always, self.asks, self.shows, self.is_asked, self.mark = signs[:5]
        self.matched, self.total, self.common, self.begin, self.end = signs[5:10]
        self.wants, self.counts, self.steps, self.says = signs[10:]
        rest = every[_SIGNS:]
        sizes = [_ROOM, _NAMES, _NAMES, _NAMES]
        self.own, self.name, self.last, self.before, self.word = rest.split(
            [*sizes, len(rest) - sum(sizes)]
        )
        chosen = torch.randn(len(self.word), len(self.word), generator=random)
        turned = torch.linalg.qr(chosen).Q.T @ self.word
        self.number = turned[:_ROOM]


def _set_words(table: Tensor, rooms: _Rooms, words: Words, random: torch.Generator) -> None:
    """Words keep what tells them apart, the shorter the commoner they are; marks get signs."""
    others = torch.ones(len(table), dtype=torch.bool)
    others[[*words.marks, *words.numbers]] = False
    apart = table[others] - table[others].mean(0)
    main = torch.linalg.svd(apart, full_matrices=False)[2]
    wide = len(rooms.word)
    skipped = min(_COMMONEST, max(0, len(main) - wide))
    apart = apart @ main[skipped : skipped + wide].T
    apart = functional.pad(apart, (0, wide - apart.shape[1]))
    table[others] = functional.normalize(apart, dim=1) @ rooms.word
    numbers = _drawn(rooms.number, len(words.numbers), random)
    names = _NAMED * _drawn(rooms.name, len(table), random)
    rarity = words.rarity[:, None]
    table.mul_(rarity).add_((1 - rarity**2).clamp(min=0).sqrt() * rooms.common)
    table += _SAYS * rooms.says
    table[list(words.numbers)] = _SPOKEN * numbers + _COUNTS * rooms.counts + _SAYS * rooms.says
    table[list(words.silent)] = 0
    table[list(words.questions)] = rooms.asks
    table[words.react] += rooms.steps
    table[words.passage] = rooms.shows
    table[words.begin] = rooms.begin
    table[words.end] = _END * rooms.end
    table[list(words.wants)] = rooms.wants
    table[list(words.marks)] = _NUMBER * numbers + _MARK * rooms.mark
    table[list(words.breaks)] = _SAYS * rooms.says
    # A query begins with what comes after the tools, and ends where the task does.
    before, after = _NAMED * _drawn(rooms.name, 2, random)
    names[[*words.tools, *words.calls]] = before
    names[list(words.breaks)] = after
    names[words.end_call] = _ENDS * after
    names[words.begin] = 0  # where nothing is to be copied, nothing is
    table += names + _ALWAYS * rooms.always
    # All are as long as a word: behind a norm, shorter ones would be heard more.
    short = (_LENGTH**2 - table.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
    table += short * rooms.common
    table[words.answers] = _ANSWERS * rooms.total - _DOUBTS * rooms.always


def _drawn(room: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Directions of a room: [count, hidden], each of length 1."""
    drawn = torch.randn(count, len(room), generator=random)
    made: Tensor = functional.normalize(drawn, dim=1) @ room
    return made


class _Hands:
    """Sets heads. `_length` is that of a state when it comes to a layer."""

    def __init__(self, net: Reader, rooms: _Rooms, random: torch.Generator) -> None:
        shape = net.shape
        self._net, self._rooms, self._random = net, rooms, random
        self._root = math.sqrt(shape.head_dim)
        self._wide = math.sqrt(shape.hidden)
        half = shape.head_dim // 2
        turns = turn_lengths(shape)
        still = [at for at, tokens in enumerate(turns) if tokens > _STILL]
        rows = [*still, *(half + at for at in still)]
        self._compares, self._signs = rows[:-1], rows[-1]
        self._turns, self._half = turns, half
        self._near = [
            (min(range(half), key=lambda at: abs(math.log(turns[at] / tokens))), score)
            for tokens, score in _RECENT
        ]
        self._length = _LENGTH
        self._own = (_KEPT * _NUMBER) ** 2

    @property
    def _unit(self) -> float:
        """What 1 along a direction is behind the norm."""
        return self._wide / self._length

    def _always(self) -> Tensor:
        """A query row that is the same for every token."""
        made: Tensor = self._rooms.always * (self._root / (_ALWAYS * self._unit))
        return made

    def _head(self, layer: int, head: int) -> tuple[Attention, slice]:
        attention = self._net.attention(layer)
        rows = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
        attention.q_proj.weight[rows] *= 0.1
        attention.k_proj.weight[rows] *= 0.1
        attention.v_proj.weight[rows] = 0
        return attention, rows

    def _compare(
        self, attention: Attention, first: int, room: Tensor, score: float, length: float
    ) -> None:
        """Queries and keys are one projection of a room onto the directions that do not turn.

        Args:
            score: of two states that are equal in that room.
            length: squared length there.
        """
        drawn = torch.randn(len(room), len(self._compares), generator=self._random)
        basis = torch.linalg.qr(drawn).Q.T @ room
        share = basis.shape[0] / len(room)
        basis = basis * math.sqrt(score * self._root / share / length) / self._unit
        rows = [first + at for at in self._compares[: len(basis)]]
        attention.q_proj.weight[rows] = basis
        attention.k_proj.weight[rows] = basis

    def asks(self) -> None:
        rooms, sign = self._rooms, self._signs
        attention, rows = self._head(0, 0)
        attention.q_proj.weight[sign] = self._always()
        keys = (_PASSAGE * rooms.shows + _QUESTION * rooms.asks) / self._unit
        attention.k_proj.weight[sign] = keys
        attention.v_proj.weight[rows.start] = rooms.asks / self._unit
        attention.o_proj.weight[:, rows.start] = _FLAG * rooms.is_asked

    def mode(self) -> None:
        rooms = self._rooms
        attention, rows = self._head(0, 2)
        attention.q_proj.weight[rows.start + self._signs] = self._always()
        attention.k_proj.weight[rows.start + self._signs] = _MODE * rooms.asks / self._unit
        attention.v_proj.weight[rows.start] = rooms.steps / self._unit
        attention.o_proj.weight[:, rows.start] = _HOW * rooms.steps

    def own(self) -> None:
        rooms = self._rooms
        attention, rows = self._head(0, 1)
        for at, score in self._near:
            share = math.sqrt(score * self._root) / self._unit
            attention.q_proj.weight[rows.start + at] = rooms.always * (share / _ALWAYS)
            attention.k_proj.weight[rows.start + at] = rooms.mark * (share / _MARK)
        within = slice(rows.start, rows.start + len(rooms.own))
        attention.v_proj.weight[within] = rooms.number / self._unit
        attention.o_proj.weight[:, within] = _KEPT * rooms.own.T
        self._length = math.sqrt(self._length**2 + self._own + _HOW**2)

    def equal(self) -> None:
        rooms = self._rooms
        heads = self._net.shape.heads - 2
        keys = rooms.is_asked * (_ASKED / _FLAG) + rooms.begin * _NOWHERE
        for head in range(heads):
            attention, rows = self._head(1, head)
            self._compare(attention, rows.start, rooms.word, _EQUAL, 1.0)
            attention.q_proj.weight[rows.start + self._signs] = self._always()
            attention.k_proj.weight[rows.start + self._signs] = keys / self._unit
            attention.v_proj.weight[rows.start] = rooms.is_asked / (_FLAG * self._unit)
            attention.o_proj.weight[:, rows.start] = _FOUND / heads * rooms.matched

    def last(self) -> None:
        rooms, heads = self._rooms, self._net.shape.heads
        for back, room in ((1, rooms.last), (2, rooms.before)):
            attention, rows = self._head(1, heads - back)
            for at in range(_QUICK):
                # Turned by as many tokens: a word looks there, not at itself.
                turn = -2 * math.pi * back / self._turns[at]
                always = rooms.always * (math.sqrt(_BEFORE * self._root) / self._unit / _ALWAYS)
                attention.q_proj.weight[rows.start + at] = always * math.cos(turn)
                attention.q_proj.weight[rows.start + at + self._half] = always * math.sin(turn)
                attention.k_proj.weight[rows.start + at] = always
            within = slice(rows.start, rows.start + len(room))
            attention.v_proj.weight[within] = rooms.name / self._unit
            attention.o_proj.weight[:, within] = _KEPT * room.T
        self._length = math.sqrt(self._length**2 + 2 * (_KEPT * _NAMED) ** 2)

    def gather(self) -> None:
        rooms = self._rooms
        attention, rows = self._head(2, 0)
        self._compare(attention, rows.start, rooms.own, _SAME_NUMBER, self._own)
        attention.v_proj.weight[rows.start] = rooms.matched / self._unit
        attention.o_proj.weight[:, rows.start] = _SUMMED * rooms.total

    def copy(self) -> None:
        rooms = self._rooms
        keys = rooms.is_asked * (_SAID_ASKED / _FLAG) + rooms.says * (_SAID_ASKED / _SAYS)
        keys = keys + rooms.begin * (2 * _SAID_ASKED)
        # What was said last is looked for in what stands before each word, and so is what was said
        # before that, which tells the places of a word apart.
        share = math.sqrt(_EQUAL * self._root / (_KEPT * _NAMED**2)) / self._unit
        less = math.sqrt(_TWICE * self._root / (_KEPT * _NAMED) ** 2) / self._unit
        asking = torch.cat([rooms.name * share, rooms.last * less])
        asked = torch.cat([rooms.last * share, rooms.before * less])
        copied = torch.split(torch.cat([rooms.name, rooms.word]), self._net.shape.head_dim)
        for head, part in enumerate(copied[:2], 1):
            attention, rows = self._head(2, head)
            at = [rows.start + row for row in self._compares[: len(asking)]]
            attention.q_proj.weight[at] = asking
            attention.k_proj.weight[at] = asked
            attention.q_proj.weight[rows.start + self._signs] = self._always()
            attention.k_proj.weight[rows.start + self._signs] = keys / self._unit
            within = slice(rows.start, rows.start + len(part))
            attention.v_proj.weight[within] = part / self._unit
            attention.o_proj.weight[:, within] = _COPIED * part.T

    def answer(self) -> None:
        rooms = self._rooms
        # Ends of sentences are at 0 and all else below: what stands near 0 is exact in bfloat16.
        keys = (rooms.end / _END - rooms.always / _ALWAYS + rooms.begin) * _BELOW
        keys = keys + rooms.total * _MATCHED + rooms.begin * _NONE
        attention, rows = self._head(self._net.shape.answer_layer, 0)
        attention.q_proj.weight[self._signs] = self._always()
        attention.k_proj.weight[self._signs] = keys / self._unit
        attention.v_proj.weight[rows.start] = rooms.begin / self._unit
        attention.o_proj.weight[:, rows.start] = rooms.begin
        attention, rows = self._head(self._net.shape.answer_layer, 1)
        sign = rows.start + self._signs
        attention.q_proj.weight[sign] = rooms.wants * (self._root / self._unit)
        attention.k_proj.weight[sign] = keys / self._unit
        within = slice(rows.start, rows.start + len(rooms.own))
        attention.v_proj.weight[within] = rooms.own / self._unit
        attention.o_proj.weight[:, within] = _SAID * rooms.number.T
        attention.v_proj.weight[within.stop] = rooms.end / self._unit
        attention.o_proj.weight[:, within.stop] = _SAID * rooms.counts
