"""From logits to tokens: checks of sampling parameters, logit processors, the draw, log probs."""
