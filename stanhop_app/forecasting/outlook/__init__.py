"""What a forecast of the real future is made from, whatever model makes it. Nothing here needs torch."""
