"""A pack's questions are computed as if each stood alone behind the material."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from evals.training.reader.exporting import export_reader
from evals.training.reader.layout import Shown, evidence_question, material, step_question
from evals.training.reader.net import Guides, Reader, losses
from evals.training.reader.packs import Marks, padded, tokenised
from evals.training.reader.tasks import Asked, Pack


def packs() -> list[Pack]:
    first = material([Shown("A title", ((3, "The server writes."), (4, "Rows are dead.")))])
    second = material([Shown("", ((1, "Each connection is served by a process of its own."),))])
    return [
        Pack(
            first,
            (
                Asked(evidence_question("what writes"), "[3]", (3,)),
                Asked(material([]) + step_question("what is 3 * 4"), "[]", reads=False),
                Asked(evidence_question("which rows are dead now"), "[4, 3]", (3, 4)),
            ),
        ),
        Pack(second, (Asked(step_question("how many processes", ["process"]), "[]"),)),
    ]


def test_packed_logits_are_those_of_transformers_one_by_one(
    net: Reader, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    for weight in net.parameters():
        weight.data = weight.data.half().float()  # what is exported
    export_reader(net, tokenizer, "Last.", tmp_path)
    other = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    made = [tokenised(one, tokenizer, Marks.of(tokenizer)) for one in packs()]
    batch = padded(made)
    with torch.no_grad():
        states = net(batch).states
        ours = net.logits(states[:, batch.material.shape[1] :])
    compared = 0
    for row, (pack, tokens) in enumerate(zip(packs(), made, strict=True)):
        for at, asked in enumerate(pack.asked):
            own = torch.from_numpy(tokens.questions[tokens.segment == at]).long()
            before = torch.from_numpy(tokens.material).long() if asked.reads else own[:0]
            with torch.no_grad():
                theirs = other(torch.cat([before, own])[None]).logits[0, len(before) :]
            place = (batch.segment[row] == at).nonzero()[:, 0]
            torch.testing.assert_close(ours[row, place], theirs, atol=2e-4, rtol=1e-4)
            compared += len(place)
    assert compared == sum(len(one.questions) for one in made)


def test_targets_and_guides(tokenizer: Tokenizer) -> None:
    marks = Marks.of(tokenizer)
    batch = padded([tokenised(packs()[0], tokenizer, marks)])
    said = [tokenizer.decode([int(one)]) for one in batch.targets[0] if one >= 0]
    assert "".join(said) == "[3][][4, 3]"
    assert set(batch.owner[0].tolist()) == {0, 3, 4}
    assert batch.gold[0, 0].nonzero().flatten().tolist() == [3]
    assert batch.gold[0, 2].nonzero().flatten().tolist() == [3, 4]
    deciding = batch.questions[0][batch.decides[0]].tolist()
    assert [tokenizer.id_to_token(one) for one in deciding] == ["<|step|>", "["] * 2
    asks = tokenizer.decode(batch.questions[0][batch.asks[0]].tolist())
    assert asks == " what writes which rows are dead now"


def test_guided_losses_have_gradients(net: Reader, tokenizer: Tokenizer) -> None:
    marks = Marks.of(tokenizer)
    batch = padded([tokenised(one, tokenizer, marks) for one in packs()])
    found = losses(net, batch, Guides(), torch.tensor(marks.numbers))
    assert set(found) == {"tokens", "numbers", "words", "answer"}
    for name, loss in found.items():
        net.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        total = sum(float(w.grad.abs().sum()) for w in net.parameters() if w.grad is not None)
        assert total > 0, name
