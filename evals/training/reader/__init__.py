"""The reader's training: a small decoder for the prompts that the platform itself writes.

A decoder that learns from token losses alone stays near chance at picking sentences for a long
time. What is done here instead, and why:

- *One layout for all prompts* (`layout`). The chat template moves material before the question and
  turns rules, roles and the parts of a step into one token each, so that nearly all of a prompt is
  material and evidence and steps are learnt by the same weights.
- *No capitals* (`vocabulary`). A word that begins a sentence is then the word of the question, and
  MiniLM, whose word vectors are the start, has none either. So the reader cannot copy sentences as
  they stand; it points at numbers, and what a claim says is one of a few fixed texts.
- *A head that compares words from the first step on* (`net`). Its queries and keys begin as one
  projection onto directions that hardly turn with position. The rotary base is high, so that there
  are enough of them.
- *Guides* (`net`): each token of a sentence tells its sentence's number, words of a question look
  at the sentences that answer it, and so does the place where the number is given. They cost a few
  products and are no part of the exported weights.
- *Packs* (`packs`): one copy of the material serves all questions about it. Distractors are
  neighbours on the page and what a search finds; questions of passages that were left out have no
  answer.
- *Stages* (`learning`) from one passage and phrases to ten passages and replaced words.

Left out: labels of a teacher. Packs can hold several right sentences, so they would fit in, as
further questions; gold sentences of a program are what is learnt of until then.
"""
