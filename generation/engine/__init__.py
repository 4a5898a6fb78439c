"""Drawing. The only package (beside starter/) that imports torch or diffusers."""
