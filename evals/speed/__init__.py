"""How fast the decoder is: against named peers, against the memory's speed, and part by part."""
