"""The linear part: ridge regressions in closed form, from second moments of windows."""
