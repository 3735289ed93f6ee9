"""Tables of users, and what is cut from them: frames, frequencies, scalers, splits, windows."""
