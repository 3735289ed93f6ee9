"""Training of any model here: the loop, its options, its checkpoints and its folder."""
