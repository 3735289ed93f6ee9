"""The companion suite: BERT, OPT and ViT, where activation outliers are large."""
