"""Models: from a checkpoint's folder to a decoder that turns token ids into logits."""
