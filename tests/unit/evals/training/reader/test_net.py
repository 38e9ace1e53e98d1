"""The net is a Llama, and its guides look where the answer is."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from evals.training.reader.exporting import export_reader
from evals.training.reader.layout import PAD, Shown, evidence_prompt, step_prompt
from evals.training.reader.net import Reader, losses
from evals.training.reader.sequences import Marks, padded, tokenised
from evals.training.reader.tasks import Asked

SHOWN = [
    Shown("A title", ((3, "The server writes."), (4, "Rows are dead."))),
    Shown("", ((5, "Each connection is served by a process of its own."),)),
]
ASKED = [
    Asked(evidence_prompt("what writes", SHOWN), "[3]", (3,)),
    Asked(evidence_prompt("which rows are dead now", SHOWN), "[4, 3]", (3, 4)),
    Asked(step_prompt("how many processes", [("process", "")]), "[]"),
    Asked(step_prompt("what is 3 * 4", calculate=True), "[]", reads=False),
]


def test_logits_are_those_of_transformers(
    net: Reader, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    for weight in net.parameters():
        weight.data = weight.data.half().float()  # what is exported
    export_reader(net, tokenizer, "Last.", tmp_path)
    other = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    batch = padded([tokenised(one, tokenizer, Marks.of(tokenizer)) for one in ASKED])
    with torch.no_grad():
        ours = net.logits(net(batch.tokens).states)
        for row, length in enumerate(batch.lengths.tolist()):
            theirs = other(batch.tokens[row : row + 1, :length]).logits[0]
            torch.testing.assert_close(ours[row, :length], theirs, atol=2e-4, rtol=1e-4)


def test_targets_and_guides(tokenizer: Tokenizer) -> None:
    batch = padded([tokenised(one, tokenizer, Marks.of(tokenizer)) for one in ASKED])
    said = [tokenizer.decode([int(one)]) for one in batch.targets.flatten() if one >= 0]
    assert "".join(said) == "[3][4, 3][][]"
    for row in (0, 1):
        ends = batch.ends[row]
        assert ends[ends > 0].tolist() == [3, 4, 5]
        stops = batch.tokens[row][ends > 0].tolist()
        assert [tokenizer.id_to_token(one) for one in stops] == ["<|stop|>"] * 3
    assert [row.nonzero().flatten().tolist() for row in batch.gold] == [[3], [3, 4], [0], []]
    deciding = batch.tokens[batch.decides].tolist()
    named = [tokenizer.id_to_token(one) for one in deciding]
    assert named == ["<|step|>", "[", "<|step|>", "[", "<|step|>"]


def test_guided_losses_have_gradients(net: Reader, tokenizer: Tokenizer) -> None:
    batch = padded([tokenised(one, tokenizer, Marks.of(tokenizer)) for one in ASKED])
    found = losses(net, batch, int(tokenizer.token_to_id(PAD) or 0))
    assert set(found) == {"tokens", "sentences", "answer"}
    for name, loss in found.items():
        net.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        total = sum(float(w.grad.abs().sum()) for w in net.parameters() if w.grad is not None)
        assert total > 0, name
