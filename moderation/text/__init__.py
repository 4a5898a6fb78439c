"""The first layer: what a prompt says, whatever it is written in."""
