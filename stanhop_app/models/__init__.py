"""Models built from `stanhop_app.layers`: STanHop-Net, BERT, OPT, ViT, and transformers' own."""
