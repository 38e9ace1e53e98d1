"""The reader's training: a small decoder for the prompts that the platform itself writes.

A decoder that learns from token losses alone stays near chance at picking sentences for a long
time. What is done here instead, and why:

- *One layout for all prompts* (`layout`). The chat template moves the question before the material
  and turns rules, roles and the parts of a step into one token each, so that nearly all of a prompt
  is material, and evidence and steps are learnt by the same weights.
- *No capitals* (`vocabulary`). A word that begins a sentence is then the word of the question, and
  MiniLM, whose word vectors are the start, has none either. So the reader cannot copy sentences as
  they stand; it points at numbers, and what a claim says is one of a few fixed texts.
- *Heads set by hand* (`start`) match words, gather matches at the end of a sentence and pass its
  number on, from the first step on. They learn like all others.
- *Guides* (`net`): a middle layer tells at each sentence's end whether it answers, and a head above
  it looks at those ends. They are losses alone and no part of the exported weights.
- *Groups of passages* (`building`): several questions are asked about one group, each a sequence of
  its own. Distractors are neighbours on the page and what a search finds; questions of passages
  that were left out have no answer.
- *Stages* (`learning`) from one passage and phrases to ten passages and replaced words.
- *First steps* (`tasks`, `sums`): sums in many wordings are computed; questions that hold numbers
  and are no sums are searched for.
- *Abstaining* (`abstention`) is set after the training, on held-out examples.

Left out: labels of a teacher. Examples can hold several right sentences, so they would fit in, as
further questions; gold sentences of a program and of people are what is learnt of.
"""
