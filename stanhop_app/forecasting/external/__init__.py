"""External memory: past windows, what was missed of each, and what that says of the next one."""
