"""The dashboard. One file a page: widgets in, one library call, one figure out."""
